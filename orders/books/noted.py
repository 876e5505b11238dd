"""What the comparison with the gateway's own list has noted: the witness where no local bank keeps a ledger."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from orders.books.ledger import ledger_file
from orders.models import Difference

Kind = Difference.Kind
KINDS: Final[Mapping[str, Sequence[Difference.Kind]]] = {
    "I1": (Kind.UNSETTLED, Kind.STRAY_CHARGE, Kind.MISSING_CHARGE),
    "I3": (Kind.AMOUNT,),
    "I11": (Kind.STRAY_REFUND, Kind.MISSING_REFUND),
}


def differences_of(invariant: str) -> Iterator[str]:
    """The open differences that break this invariant. None with a ledger: it is read anew, and they may be outdated."""
    if ledger_file().exists():
        return
    for found in Difference.objects.open().filter(kind__in=KINDS.get(invariant, ())).order_by("pk"):
        yield f"{found}: {found.detail}"
