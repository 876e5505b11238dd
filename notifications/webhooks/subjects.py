"""What “order:17” is called outside this house, and whose it is. Each app says it of its own rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Told:
    """kind and id: as the API names it. path: its address there; empty when it has none. owner_id: whose it is."""

    kind: str
    id: str
    path: str = ""
    owner_id: int | None = None


Describe = Callable[[str], Told | None]
_known: Final[dict[str, Describe]] = {}


def tells(kind: str) -> Callable[[Describe], Describe]:
    """The decorated function describes subjects of this kind, given the key behind the colon."""

    def register(describe: Describe) -> Describe:
        _known[kind] = describe
        return describe

    return register


def told(subject: str) -> Told:
    """A row that nobody describes, or that is gone, keeps its own name and belongs to nobody."""
    kind, _, key = subject.partition(":")
    describe = _known.get(kind)
    return (describe(key) if describe else None) or Told(kind=kind, id=key)
