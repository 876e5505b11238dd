from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.db.models.signals import post_migrate

# Code, words and price in minor units of EUR: how every shop begins, until its owner says otherwise.
WAYS_OF_DELIVERY = (("standard", "Standard, 2 to 4 days", 490), ("express", "Express, next working day", 990))


class OrdersConfig(AppConfig):
    name = "orders"
    verbose_name = "Shop"

    def ready(self) -> None:
        from orders import checks  # noqa: F401  importing registers them

        post_migrate.connect(furnish, sender=self)


def furnish(using: str, apps: Apps = installed, **_: Any) -> None:
    """A shop without any way of delivery gets the first two."""
    try:
        methods, prices = apps.get_model("orders", "ShippingMethod"), apps.get_model("orders", "ShippingPrice")
    except LookupError:
        return  # migrated to a time before there was a table of them
    if methods.objects.using(using).exists():
        return
    for position, (code, name, price) in enumerate(WAYS_OF_DELIVERY):
        method = methods.objects.using(using).create(code=code, name=name, position=position)
        prices.objects.using(using).create(method=method, currency="EUR", price=price)
