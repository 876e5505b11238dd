"""Money as programs see it: whole minor units, and a currency beside them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class MoneySerializer(serializers.Serializer[Any]):
    amount = serializers.IntegerField(min_value=0, help_text="In minor units: 1290 is 12.90.")
    currency = serializers.CharField(min_length=3, max_length=3)


@extend_schema_field(MoneySerializer)
class MoneyOf(serializers.Field[Any, Any, dict[str, Any], Any]):
    """An amount of a row, with the row's currency."""

    def __init__(self, column: str, **options: Any) -> None:
        super().__init__(source="*", read_only=True, **options)
        self._column = column

    def to_representation(self, row: Any) -> dict[str, Any]:
        return {"amount": getattr(row, self._column), "currency": self._currency(row)}

    def _currency(self, row: Any) -> str:
        currency: str = row.currency if hasattr(row, "currency") else row.order.currency
        return currency


@extend_schema_field(MoneySerializer)
class PriceOf(serializers.Field[Any, Any, dict[str, Any], Any]):
    """A product's price as `reach.products` has found it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, product: Any) -> dict[str, Any]:
        if product.unit_price is None:
            return {"amount": product.price, "currency": product.currency}
        return {"amount": product.unit_price, "currency": product.asked_currency}
