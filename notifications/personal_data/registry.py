"""Who keeps what of a person: each app says so in its `personal_data.py`, with how it is told and how it is erased.

register("uploads", rows=told, erase=erase, references=references, files=files)

The apps are imported when Django starts, so a new one is in every export and every erasure without a word elsewhere.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO, Any, Final

Row = Mapping[str, object]
File = tuple[str, Callable[[], IO[bytes]]]


@dataclass(frozen=True, kw_only=True)
class Person:
    """addresses: e-mail, in small letters, and shown to be theirs. references: what is theirs, as "order:17".

    until: what was sent to their addresses after that moment, and is about none of these, is of whoever has the address
    now.
    """

    user_id: int
    addresses: tuple[str, ...]
    until: datetime
    references: tuple[str, ...] = ()


def _nothing(_: Person) -> Iterable[Any]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Holding:
    name: str
    rows: Callable[[Person], Iterable[Row]]
    erase: Callable[[Person], None]
    references: Callable[[Person], Iterable[str]]
    files: Callable[[Person], Iterable[File]]


holdings: Final[dict[str, Holding]] = {}


def register(
    name: str,
    *,
    rows: Callable[[Person], Iterable[Row]],
    erase: Callable[[Person], None],
    references: Callable[[Person], Iterable[str]] = _nothing,
    files: Callable[[Person], Iterable[File]] = _nothing,
) -> None:
    """One subject of personal data: `NAME.json` in an export, a part of an erasure with retries of its own.

    rows: what it holds of a person, as values that JSON knows. files: (its whole name in the export, which begins with
    "NAME/"; what opens it).
    references: what is theirs; letters, events and failures about it are erased with it. erase: outside any
    transaction, as often as it takes, and once more a quarter of an hour later for what was on its way: so it must find
    nothing to do the second time. It raises RetryLater while something has to stay for now.
    """
    if name in holdings:
        raise ValueError(f"{name} is registered twice")
    holdings[name] = Holding(name=name, rows=rows, erase=erase, references=references, files=files)


def with_references(person: Person) -> Person:
    """The same, with all that is theirs now beside what was known before. Each app is told what those before found."""
    for holding in holdings.values():
        known = dict.fromkeys((*person.references, *holding.references(person)))
        person = replace(person, references=tuple(known))
    return person
