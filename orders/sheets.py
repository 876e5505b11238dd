"""Read a stock list as spreadsheets save it, and name every cell that is not right. Nothing here asks the database."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 1_000_000
MOST_LINES: Final = 10_000
MOST_UNITS: Final = 10_000_000  # of one product: more is a slip of the keyboard
MOST_NOTE: Final = 200  # characters, as the ledger keeps them
COLUMNS: Final = ("sku", "on_hand", "change", "note")
_FORMULA: Final = ("=", "+", "-", "@")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong, where. line: as an editor counts them, from 1; field: a column, or "file" for the whole."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


class BadSheet(Exception):
    """The list is not right: nothing was changed. `faults` names every one."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults, the first: {faults[0]}")
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Row:
    """One product's count (`on_hand`), or by how much it changed (`change`): the other is None."""

    line: int
    sku: str
    on_hand: int | None
    change: int | None
    note: str


def read(data: bytes) -> tuple[list[Row], list[Fault]]:
    """The rows of a CSV file and what is wrong with the others. Raises BadSheet when it cannot be read at all.

    UTF-8, UTF-16 with its mark, or Windows-1252; commas, semicolons or tabs; a first row that names the columns
    sku, on_hand or change, and maybe note.
    """
    text = _text(data)
    lines = _cells(text, _delimiter(text))
    head = next(lines, None)
    if head is None:
        raise _bad(1, "file", "Is empty: the first line names the columns sku, on_hand or change, and note.")
    columns = _columns(*head)
    rows: list[Row] = []
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    for number, (line, cells) in enumerate(lines, start=1):
        if number > MOST_LINES:
            raise _bad(line, "file", f"Has more than {MOST_LINES} lines.")
        row = _row(line, cells, columns, seen, faults)
        if row is not None:
            rows.append(row)
    if not rows and not faults:
        raise _bad(head[0], "file", "Names columns, and then no product.")
    return rows, faults


def _bad(line: int, field: str, reason: str) -> BadSheet:
    return BadSheet([Fault(line=line, field=field, reason=reason)])


# -- bytes to cells ---------------------------------------------------------------------------


def _text(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise _bad(1, "file", f"Is larger than {MOST_BYTES} bytes.")
    if data.startswith(b"PK"):
        raise _bad(1, "file", "Is a spreadsheet's own format: save it as CSV.")
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _bad(1, "file", "Is no text in UTF-8, UTF-16 or Windows-1252.")


def _delimiter(text: str) -> str:
    """What parts the names in the first line with any."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _cells(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each line with something in it: the number it begins at, and its cells without the space around them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _bad(begins, "file", f"Is no CSV from here on: {error}.") from error
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield begins, [cell.strip() for cell in cells]
        begins = reader.line_num + 1


def _columns(line: int, names: list[str]) -> dict[str, int]:
    """Where each column is. Raises BadSheet."""
    while names and not names[-1]:
        names = names[:-1]
    found = [name.lower().replace(" ", "_") for name in names]
    faults = [
        Fault(line=line, field=name or "a column without a name", reason=f"Is none of {', '.join(COLUMNS)}.")
        for name in found
        if name not in COLUMNS
    ]
    faults += [Fault(line=line, field=name, reason="Is there twice.") for name in COLUMNS if found.count(name) > 1]
    if "sku" not in found:
        faults.append(Fault(line=line, field="sku", reason="Is missing: the first line names the columns."))
    if ("on_hand" in found) == ("change" in found):
        faults.append(Fault(line=line, field="on_hand", reason="Must be there, or else change: one of the two."))
    if faults:
        raise BadSheet(faults)
    return {name: index for index, name in enumerate(found)}


# -- cells to rows ----------------------------------------------------------------------------


def _row(line: int, cells: list[str], columns: dict[str, int], seen: dict[str, int], faults: list[Fault]) -> Row | None:
    """The row, or None and its faults."""
    said = {name: cells[index] if index < len(cells) else "" for name, index in columns.items()}
    wrong = [(name, reason) for name, text in said.items() if (reason := _CHECKS[name](text))]
    if any(cells[len(columns) :]):
        wrong.append(("file", f"This line has {len(cells)} cells, the first has {len(columns)}."))
    sku = said["sku"]
    if sku in seen:
        wrong.append(("sku", f"{sku!r} is on line {seen[sku]} already."))
    elif sku:
        seen[sku] = line
    faults.extend(Fault(line=line, field=name, reason=reason) for name, reason in wrong)
    if wrong:
        return None
    units = {name: int(said[name]) if name in said else None for name in ("on_hand", "change")}
    return Row(line=line, sku=sku, on_hand=units["on_hand"], change=units["change"], note=said.get("note", ""))


def _wrong_sku(text: str) -> str:
    if not text:
        return "Is missing."
    if text.startswith(_FORMULA):
        return f"Begins like a formula: {text[:20]!r}."
    return "Has at most 40 characters." if len(text) > 40 else _wrong_text(text)


def _wrong_note(text: str) -> str:
    if text.startswith(_FORMULA):
        return f"Begins like a formula: {text[:20]!r}."
    return f"Has at most {MOST_NOTE} characters." if len(text) > MOST_NOTE else _wrong_text(text)


def _wrong_text(text: str) -> str:
    breaks = any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text)
    return "May not contain line breaks or control characters." if breaks else ""


def _wrong_count(text: str) -> str:
    if re.fullmatch("-[0-9]+", text):
        return f"Must be 0 to {MOST_UNITS}, not {text[:20]}."
    return _wrong_number(text.removeprefix("+"), f"0 to {MOST_UNITS}")


def _wrong_change(text: str) -> str:
    return _wrong_number(text[1:] if text[:1] in ("+", "-") else text, f"-{MOST_UNITS} to {MOST_UNITS}")


def _wrong_number(digits: str, limits: str) -> str:
    if not digits:
        return "Is missing."
    if digits.startswith(_FORMULA):
        return f"Is a formula, not a number: {digits[:20]!r}."
    if not re.fullmatch("[0-9]+", digits):
        return f"Must be a whole number, not {digits[:20]!r}."
    return f"Must be {limits}." if len(digits) > 20 or int(digits) > MOST_UNITS else ""


_CHECKS: Final[dict[str, Callable[[str], str]]] = {
    "sku": _wrong_sku,
    "on_hand": _wrong_count,
    "change": _wrong_change,
    "note": _wrong_note,
}
