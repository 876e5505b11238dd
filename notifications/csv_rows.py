"""Rows as a CSV file that a spreadsheet may open: text stays text, also where it looks like a formula."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

# What makes a spreadsheet compute a cell, by itself or after what it trims; the quote before it shows it as text.
_COMPUTED: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_MARK: Final = "\ufeff"  # without it some spreadsheets take UTF-8 for something else


class _Echo:
    def write(self, line: str) -> str:
        return line


def csv_lines(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of the file (RFC 4180), the first with the columns' names; `rows` are read as they are sent."""
    writer = csv.writer(_Echo())
    yield _MARK + writer.writerow(head)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_COMPUTED) else text
