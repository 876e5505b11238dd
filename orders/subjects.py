"""How the shop's own rows are called in webhooks, and whose they are."""

from django.urls import reverse

from notifications.webhooks.subjects import Told, tells
from orders.models import Order, Product


@tells("order")
def order(key: str) -> Told | None:
    found = Order.objects.filter(pk=key).values_list("number", "user_id").first()
    if found is None:
        return None
    number, owner_id = found
    return Told(kind="order", id=number, path=reverse("api:order", args=[number]), owner_id=owner_id)


@tells("product")
def product(key: str) -> Told | None:
    found = Product.objects.filter(pk=key).values_list("sku", flat=True).first()
    return Told(kind="product", id=found, path=reverse("api:product", args=[found])) if found else None
