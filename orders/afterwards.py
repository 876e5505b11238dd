"""What came of an order after its payment, as entries of its timeline: money back, parcels, changes, invoices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from orders.models import GatewayEvent, Order, ShipmentLine
from orders.templatetags.shop import money

KINDS = (
    "event",
    "delivery",
    "mail",
    "payment",
    "stock",
    "status",
    "staff",
    "refund",
    "shipment",
    "edit",
    "gateway",
    "invoice",
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the timeline. kind: one of KINDS; ref: the id of the row it was read from."""

    at: datetime
    kind: str
    title: str
    detail: str
    state: str
    actor: str
    correlation_id: str
    ref: str


def afterwards(order: Order) -> list[Entry]:
    """The entries, by kind; whoever shows them puts them in order of time."""
    entries = [*_refund_entries(order), *_shipment_entries(order), *_edit_entries(order)]
    return [*entries, *_gateway_entries(order), *_invoice_entries(order)]


def _entry(
    order: Order, at: datetime, kind: str, title: str, *, detail: str, state: str, actor: str, ref: str
) -> Entry:
    return Entry(
        at=at,
        kind=kind,
        title=title,
        detail=detail,
        state=state,
        actor=actor,
        correlation_id=order.correlation_id,
        ref=ref,
    )


def _units(pairs: Iterable[Iterable[object]]) -> str:
    """[["MUG", 2], ["HAT", 1]] as people write it."""
    return ", ".join(f"{quantity} × {sku}" for sku, quantity, *_ in pairs)


def _refund_entries(order: Order) -> Iterator[Entry]:
    """Two of each: that it was decided, and how it ended."""
    for refund in order.refunds.all():
        title, ref = f"{money(refund.amount, refund.currency)} to be given back", str(refund.pk)
        why = ", ".join(filter(None, [refund.get_cause_display(), refund.reason, _units(refund.lines)]))
        state = refund.state if refund.finished_at is None else "decided"
        yield _entry(order, refund.created_at, "refund", title, detail=why, state=state, actor=refund.actor, ref=ref)
        if refund.finished_at is not None:
            told = " ".join(filter(None, [refund.gateway_id, refund.code, refund.message]))
            end = f"{money(refund.amount, refund.currency)} {_END[refund.state]}"
            yield _entry(
                order, refund.finished_at, "refund", end, detail=told, state=refund.state, actor="gateway", ref=ref
            )


_END = {"done": "given back", "failed": "not given back"}


def _shipment_entries(order: Order) -> Iterator[Entry]:
    packed = ShipmentLine.objects.filter(shipment__order=order).select_related("shipment", "line")
    parcels: dict[int, list[ShipmentLine]] = {}
    for one in packed.order_by("shipment_id", "pk"):
        parcels.setdefault(one.shipment_id, []).append(one)
    for lines in parcels.values():
        parcel = lines[0].shipment
        title = "Parcel: " + _units((one.line.sku, one.quantity) for one in lines)
        how = f"{parcel.carrier} {parcel.tracking}".strip()
        yield _entry(
            order,
            parcel.shipped_at,
            "shipment",
            title,
            detail=how,
            state="done",
            actor=parcel.actor,
            ref=str(parcel.pk),
        )


def _edit_entries(order: Order) -> Iterator[Entry]:
    for edit in order.edits.all():
        more = money(abs(edit.difference), order.currency)
        title = f"Changed, {more} {'less' if edit.difference < 0 else 'more'}" if edit.difference else "Changed"
        what = f"{_units(edit.before)} → {_units(edit.after)}"
        yield _entry(
            order,
            edit.finished_at or edit.created_at,
            "edit",
            title,
            detail=", ".join(filter(None, [what, edit.reason])),
            state=edit.state,
            actor=edit.actor,
            ref=str(edit.pk),
        )


def _gateway_entries(order: Order) -> Iterator[Entry]:
    """What the gateway told us by itself."""
    for event in GatewayEvent.objects.filter(attempt__order=order):
        told = " ".join(filter(None, [event.external_id, event.note]))
        yield _entry(
            order,
            event.received_at,
            "gateway",
            event.type,
            detail=told,
            state=event.state,
            actor="gateway",
            ref=str(event.pk),
        )


def _invoice_entries(order: Order) -> Iterator[Entry]:
    for invoice in order.invoices.all():
        title = f"{invoice.get_kind_display()} {invoice.number}".capitalize()
        yield _entry(
            order,
            invoice.issued_at,
            "invoice",
            title,
            detail=money(invoice.amount, invoice.currency),
            state="done",
            actor="system",
            ref=str(invoice.pk),
        )
