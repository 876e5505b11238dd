"""What a program may ask of the shop."""

import hashlib
import json
import re
from typing import Any, Final

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request

from accounts.postal import countries
from notifications.api.reading import EmailLine, Flag, Line, Whole
from orders.checkout import Key
from orders.models import Order
from orders.pricing import MOST_LINES, MOST_OF_ONE

KEY_HEADER: Final = "Idempotency-Key"
MOST_MONEY: Final = 2**31 - 1  # what a column of the database holds
MOST_OF_KEY: Final = 64
KEY_CHARACTERS: Final = r"[\x21-\x7e]"  # no space: HTTP takes those at the ends away, and then it is another key
_KEY_WANTED: Final = f"1 to {MOST_OF_KEY} printable ASCII characters, none of them a space"
_KEY: Final = re.compile(f"{KEY_CHARACTERS}{{1,{MOST_OF_KEY}}}")


class NewItemSerializer(serializers.Serializer[Any]):
    sku = Line(max_length=40)
    quantity = Whole(min_value=1, max_value=MOST_OF_ONE)


class AddressSerializer(serializers.Serializer[Any]):
    name = Line(max_length=100)
    line1 = Line(max_length=100)
    line2 = Line(max_length=100, required=False, default="", allow_blank=True, allow_null=True)
    postal_code = Line(max_length=20)
    city = Line(max_length=100)
    country = Line(min_length=2, max_length=2, help_text="ISO 3166-1 alpha-2, as `NL`.")

    def validate_line2(self, text: str | None) -> str:
        return text or ""

    def validate_country(self, code: str) -> str:
        if code.upper() not in dict(countries("en")):
            raise serializers.ValidationError(f"{code!r} is not the ISO 3166-1 alpha-2 code of a country.")
        return code.upper()


class NewOrderSerializer(serializers.Serializer[Any]):
    """What to buy. Prices, totals and states are ours to say: anything else in the body is ignored."""

    email = EmailLine(max_length=254)
    items = NewItemSerializer(many=True, allow_empty=False, max_length=MOST_LINES)  # type: ignore[call-arg]
    shipping_address = AddressSerializer()
    shipping_method = Line(max_length=30, required=False, default="standard", help_text="As `standard`, `express`.")
    currency = Line(min_length=3, max_length=3, required=False, help_text="ISO 4217; the shop's own when left out.")
    voucher = Line(max_length=40, required=False, default="", allow_blank=True, allow_null=True)
    payment_method = Line(max_length=100, help_text="A payment method of the payment service, as `pm_card_visa`.")

    def validate_voucher(self, code: str | None) -> str:
        return code or ""

    def validate_currency(self, code: str) -> str:
        return code.upper()

    def validate_payment_method(self, name: str) -> str:
        # A card's own number must never get as far as a log or a row.
        if not re.fullmatch(r"pm_\w+", name, re.ASCII):
            raise serializers.ValidationError("Must be the id of a payment method, as `pm_card_visa`.")
        return name


class UnitsAskedSerializer(serializers.Serializer[Any]):
    sku = Line(max_length=40)
    quantity = Whole(min_value=1, max_value=MOST_OF_ONE)


class ManyUnits(serializers.ListSerializer[Any]):
    """Units of an order's lines, each line once."""

    def validate(self, attrs: Any) -> Any:
        named = [units["sku"] for units in attrs]
        twice = [sku for n, sku in enumerate(named) if sku in named[:n]]
        if twice:
            raise serializers.ValidationError(f"{twice[0]} is named twice.")
        return attrs


def _units(**options: Any) -> ManyUnits:
    return ManyUnits(child=UnitsAskedSerializer(), allow_empty=False, max_length=MOST_LINES, **options)


class CancelAskedSerializer(serializers.Serializer[Any]):
    reason = Line(max_length=200, required=False, default="", allow_blank=True)


class RefundAskedSerializer(serializers.Serializer[Any]):
    """Without `amount` and `lines`: all that is left."""

    amount = Whole(min_value=1, max_value=MOST_MONEY, required=False, help_text="In minor units: 1290 is 12.90.")
    lines = _units(required=False, help_text="Gives back what these units cost. Those that have not left stay here.")
    reason = Line(max_length=200)
    restock = Flag(required=False, default=False, help_text="Whether units that have not left are for sale again.")


class ShipmentAskedSerializer(serializers.Serializer[Any]):
    lines = _units(required=False, help_text="All that has not left yet, when left out.")
    carrier = Line(max_length=60)
    tracking = Line(max_length=100, required=False, default="", allow_blank=True)


class ReturnAskedSerializer(serializers.Serializer[Any]):
    lines = _units()
    restock = Flag(help_text="Whether they can be sold again.")
    refund = Flag(help_text="Whether the buyer gets back what they cost.")
    reason = Line(max_length=200, required=False, default="", allow_blank=True)


class ProductFilter(serializers.Serializer[Any]):
    currency = Line(
        min_length=3, max_length=3, required=False, help_text="Prices in this currency; the shop's own when left out."
    )

    def validate_currency(self, code: str) -> str:
        return code.upper()


class OrderFilter(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=Order.Status.choices, required=False)
    email = EmailLine(max_length=254, required=False)
    created_after = serializers.DateTimeField(required=False, help_text="Placed later than this moment.")

    def conditions(self) -> dict[str, Any]:
        """The filter in the words of the database."""
        columns = {"status": "status", "email": "email__iexact", "created_after": "placed_at__gt"}
        return {columns[name]: value for name, value in self.validated_data.items()}


def currency_asked(request: Request) -> str:
    """The currency in the request's query, or the shop's own. Raises ValidationError."""
    asked = ProductFilter(data=request.query_params)
    asked.is_valid(raise_exception=True)
    return str(asked.validated_data.get("currency", settings.CURRENCY))


def order_asked(request: Request) -> tuple[dict[str, Any], Key]:
    """The order in the request's body, checked, and its idempotency key. Raises ValidationError."""
    name = _key_required(request)
    asked = NewOrderSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    # The user's, not the API key's: who replaces a key may still repeat a request without being charged twice.
    return asked.validated_data, Key(
        scope=f"user:{request.user.pk}", key=name, request_hash=_fingerprint(asked.validated_data)
    )


def refund_asked(request: Request) -> tuple[dict[str, Any], Key]:
    """The refund in the request's body, checked, and its idempotency key. Raises ValidationError."""
    name = _key_required(request)
    asked = _checked(request, RefundAskedSerializer)
    return asked, _key_of_decision(request, name, asked)


def decision_asked(request: Request, form: type[serializers.Serializer[Any]]) -> tuple[dict[str, Any], Key | None]:
    """What is to be done to the order of this address, checked, and its idempotency key, where it has one.

    Raises ValidationError.
    """
    name = _key_name(request)
    asked = _checked(request, form)
    return asked, _key_of_decision(request, name, asked) if name is not None else None


def _checked(request: Request, form: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    asked = form(data=request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _key_of_decision(request: Request, name: str, asked: dict[str, Any]) -> Key:
    whole = {"path": request.path, "asked": asked}
    return Key(scope=f"user:{request.user.pk}", key=name, request_hash=_fingerprint(whole))


def _key_required(request: Request) -> str:
    name = _key_name(request)
    if name is None:
        raise serializers.ValidationError({KEY_HEADER: f"The header {KEY_HEADER} must be given, with {_KEY_WANTED}."})
    return name


def _key_name(request: Request) -> str | None:
    name: str | None = request.headers.get(KEY_HEADER)
    if name is not None and not _KEY.fullmatch(name):
        raise serializers.ValidationError({KEY_HEADER: f"The header {KEY_HEADER} must have {_KEY_WANTED}."})
    return name


def _fingerprint(asked: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
