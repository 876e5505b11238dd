"""What belongs to an order and came after it: refunds, parcels, invoices."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from orders.api.amounts import MoneyOf
from orders.models import Invoice, Order, Refund, Shipment, ShipmentLine


@dataclass(frozen=True)
class Parcel:
    """A shipment, and what is in it."""

    shipment: Shipment
    lines: list[dict[str, Any]] = field(default_factory=list)


class UnitsSerializer(serializers.Serializer[Any]):
    sku = serializers.CharField()
    quantity = serializers.IntegerField(min_value=1)


class RefundSerializer(serializers.Serializer[Any]):
    """Money that goes back. It is the buyer's once `status` is `done`."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(
        source="state",
        choices=Refund.State.choices,
        help_text="`unknown`: the bank has not answered, and is asked again. `pending`: it is at work, for days maybe.",
    )
    amount = MoneyOf("amount")
    cause = serializers.ChoiceField(choices=Refund.Cause.choices)
    reason = serializers.CharField(allow_blank=True)
    lines = serializers.SerializerMethodField(help_text="The units it is for; empty when it is for an amount.")
    code = serializers.CharField(allow_blank=True, help_text="Why the bank refused, when `failed`.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(UnitsSerializer(many=True))
    def get_lines(self, refund: Refund) -> list[dict[str, Any]]:
        return [{"sku": sku, "quantity": quantity} for sku, quantity in refund.lines]


class ShipmentSerializer(serializers.Serializer[Any]):
    """A parcel that left."""

    id = serializers.IntegerField(source="shipment.pk")
    carrier = serializers.CharField(source="shipment.carrier", allow_blank=True)
    tracking = serializers.CharField(source="shipment.tracking", allow_blank=True)
    lines = UnitsSerializer(many=True)
    created_at = serializers.DateTimeField(source="shipment.shipped_at")


class InvoiceSerializer(serializers.Serializer[Any]):
    number = serializers.CharField()
    kind = serializers.ChoiceField(choices=Invoice.Kind.choices)
    amount = MoneyOf("amount")
    issued_at = serializers.DateTimeField()


# Each asks only about orders that can have any, and asks nothing when there are none: a checkout's answer, and a
# list of any length, cost the same few queries.


def refunds_of(orders: Iterable[Order]) -> Mapping[int, Sequence[Refund]]:
    """By order id, oldest first."""
    paid = [order.pk for order in orders if any(attempt.captured for attempt in order.attempts.all())]
    found = defaultdict[int, list[Refund]](list)
    for refund in Refund.objects.filter(order__in=paid).order_by("created_at"):
        found[refund.order_id].append(refund)
    return found


def shipments_of(orders: Iterable[Order]) -> Mapping[int, Sequence[Parcel]]:
    """By order id, oldest first, each with its lines."""
    begun = [order.pk for order in orders if any(line.shipped for line in order.lines.all())]
    packed = ShipmentLine.objects.filter(shipment__order__in=begun).select_related("shipment", "line")
    parcels: dict[int, Parcel] = {}
    for one in packed.order_by("shipment_id", "pk"):
        parcel = parcels.setdefault(one.shipment_id, Parcel(one.shipment))
        parcel.lines.append({"sku": one.line.sku, "quantity": one.quantity})
    found = defaultdict[int, list[Parcel]](list)
    for parcel in parcels.values():
        found[parcel.shipment.order_id].append(parcel)
    return found


def invoices_of(orders: Iterable[Order]) -> Mapping[int, Sequence[Invoice]]:
    """By order id, oldest first."""
    confirmed = [order.pk for order in orders if order.serial is not None]
    found = defaultdict[int, list[Invoice]](list)
    for invoice in Invoice.objects.filter(order__in=confirmed).order_by("pk"):
        found[invoice.order_id].append(invoice)
    return found
