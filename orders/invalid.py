"""Why a request cannot become an order, field by field."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """`field` is a path into the request, as "items[0].sku"."""

    field: str
    detail: str


class InvalidOrder(Exception):
    """The request cannot become an order. Nothing was stored or charged."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.detail}" for error in errors))
        self.errors = errors


class UnknownVoucher(InvalidOrder):
    """The same, and one of the reasons is a code that nobody has given out: it may have been a guess."""
