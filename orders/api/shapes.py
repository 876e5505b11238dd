"""How the shop's nouns look to programs."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.postal import ADDRESS_FIELDS
from notifications.models import Delivery
from orders import links
from orders.afterwards import KINDS
from orders.api.amounts import MoneyOf, PriceOf
from orders.api.parts import (
    InvoiceSerializer,
    RefundSerializer,
    ShipmentSerializer,
    invoices_of,
    refunds_of,
    shipments_of,
)
from orders.effects import side_effects_of
from orders.models import Order, Product

PAYMENT_STATUSES = [
    "pending",
    "checking",
    "requires_action",
    "authorized",
    "paid",
    "partly_refunded",
    "refunded",
    "declined",
    "expired",
]


class AddressOf(serializers.DictField):
    """In the order of an envelope: PostgreSQL sorts the names in a document, and a replay has the same bytes."""

    def to_representation(self, value: dict[str, str]) -> dict[str, str]:
        return super().to_representation({name: value[name] for name in ADDRESS_FIELDS if name in value})


class ProductSerializer(serializers.Serializer[Any]):
    sku = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    price = PriceOf(help_text="In the currency you asked for; in the product's own where it is not sold in that one.")
    available = serializers.IntegerField(source="stock.available", min_value=0)
    url = serializers.SerializerMethodField(help_text="Its page in the shop.")

    def get_url(self, product: Product) -> str:
        return _absolute(product.get_absolute_url())


class LineSerializer(serializers.Serializer[Any]):
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField(min_value=1)
    unit_price = MoneyOf("unit_price")
    total = MoneyOf("total")
    discount = MoneyOf("discount", help_text="This line's part of the order's discount; not yet taken off its total.")
    tax = MoneyOf("tax", help_text="Of what is left: on top, or contained, as the order says.")
    tax_rate = serializers.IntegerField(min_value=0, help_text="In hundredths of a per cent: 2100 is 21 %.")
    shipped = serializers.IntegerField(min_value=0, help_text="Units that have left.")
    cancelled = serializers.IntegerField(min_value=0, help_text="Units taken out before they left.")
    returned = serializers.IntegerField(min_value=0, help_text="Units that left and came back.")
    refunded = serializers.IntegerField(min_value=0, help_text="Units whose price was given back, or is about to be.")


class SideEffectSerializer(serializers.Serializer[Any]):
    """Something that happens after the order, by itself, and may still be under way."""

    handler = serializers.CharField()
    event = serializers.CharField()
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    attempts = serializers.IntegerField(min_value=0)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)


class LinksSerializer(serializers.Serializer[Any]):
    self = serializers.URLField()
    timeline = serializers.URLField()
    page = serializers.URLField(help_text="The order's page for the buyer. It opens without a login: keep it private.")


class NextActionSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(choices=["redirect"])
    url = serializers.URLField(help_text="Where the buyer approves the payment.")


class OrderSerializer(serializers.Serializer[Any]):
    number = serializers.CharField()
    serial = serializers.IntegerField(allow_null=True, help_text="Counts confirmed orders, without gaps.")
    status = serializers.ChoiceField(choices=Order.Status.choices)
    payment_status = serializers.ChoiceField(choices=PAYMENT_STATUSES)
    next_action = serializers.SerializerMethodField(help_text="What the buyer must do; null when there is nothing.")
    email = serializers.EmailField()
    lines = LineSerializer(many=True)
    subtotal = MoneyOf("subtotal")
    shipping = MoneyOf("shipping")
    tax = MoneyOf("tax", help_text="Added on top of the prices.")
    tax_included = MoneyOf("tax_included", help_text="Contained in the prices.")
    discount = MoneyOf("discount")
    total = MoneyOf("total")
    voucher = serializers.CharField(source="voucher_code", allow_blank=True)
    shipping_method = serializers.CharField()
    shipping_address = AddressOf(child=serializers.CharField(allow_blank=True))
    created_at = serializers.DateTimeField(source="placed_at")
    paid_at = serializers.DateTimeField(allow_null=True)
    correlation_id = serializers.CharField()
    refunds = serializers.SerializerMethodField()
    shipments = serializers.SerializerMethodField()
    invoices = serializers.SerializerMethodField(help_text="The invoice, and a credit note for what was given back.")
    links = serializers.SerializerMethodField()
    side_effects = serializers.SerializerMethodField()

    @extend_schema_field(NextActionSerializer(allow_null=True))
    def get_next_action(self, order: Order) -> dict[str, str] | None:
        attempt = order.last_attempt
        if attempt is None or attempt.state != attempt.State.REQUIRES_ACTION or not attempt.action_url:
            return None
        return {"type": "redirect", "url": attempt.action_url}

    @extend_schema_field(RefundSerializer(many=True))
    def get_refunds(self, order: Order) -> Any:
        return RefundSerializer(self.context["refunds"].get(order.pk, []), many=True).data

    @extend_schema_field(ShipmentSerializer(many=True))
    def get_shipments(self, order: Order) -> Any:
        return ShipmentSerializer(self.context["shipments"].get(order.pk, []), many=True).data

    @extend_schema_field(InvoiceSerializer(many=True))
    def get_invoices(self, order: Order) -> Any:
        return InvoiceSerializer(self.context["invoices"].get(order.pk, []), many=True).data

    @extend_schema_field(LinksSerializer)
    def get_links(self, order: Order) -> dict[str, str]:
        return {
            "self": _absolute(reverse("api:order", args=[order.number])),
            "timeline": _absolute(reverse("api:order_timeline", args=[order.number])),
            "page": links.guest_link(order),
        }

    @extend_schema_field(SideEffectSerializer(many=True))
    def get_side_effects(self, order: Order) -> Any:
        return SideEffectSerializer(self.context["side_effects"][order.pk], many=True).data


class EntrySerializer(serializers.Serializer[Any]):
    """One line of an order's timeline."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=KINDS)
    title = serializers.CharField()
    detail = serializers.CharField(allow_blank=True)
    state = serializers.CharField()
    actor = serializers.CharField()
    correlation_id = serializers.CharField()
    ref = serializers.CharField()


class TimelineSerializer(serializers.Serializer[Any]):
    why = serializers.CharField(help_text="How the order stands and what happens next by itself, for a person.")
    results = EntrySerializer(many=True)


class ShortageSerializer(serializers.Serializer[Any]):
    sku = serializers.CharField()
    wanted = serializers.IntegerField()
    available = serializers.IntegerField(min_value=0)


class GivenBackSerializer(serializers.Serializer[Any]):
    refunds = RefundSerializer(many=True, help_text="One for each payment that the money came from.")
    order = OrderSerializer()


class SentSerializer(serializers.Serializer[Any]):
    shipment = ShipmentSerializer()
    order = OrderSerializer()


class RefundsSerializer(serializers.Serializer[Any]):
    results = RefundSerializer(many=True)


class ShipmentsSerializer(serializers.Serializer[Any]):
    results = ShipmentSerializer(many=True)


def order_bodies(orders: Sequence[Order]) -> list[dict[str, Any]]:
    """The orders as plain JSON values, in the same few queries however many there are."""
    context = {
        "side_effects": side_effects_of(orders),
        "refunds": refunds_of(orders),
        "shipments": shipments_of(orders),
        "invoices": invoices_of(orders),
    }
    return [dict(body) for body in OrderSerializer(orders, many=True, context=context).data]


def _absolute(path: str) -> str:
    # From the settings, never from the request: a Host header must not choose where our links lead.
    return settings.SITE_URL + path
