"""The request that is measured, and the job it causes: one SELECT and one INSERT.

The row that the job leaves is the proof that it ran, how often, and when.
"""

import time
from typing import Final

from django.db import connection
from django.db.models import F

from notifications.models import Event
from orders.inventory import set_on_hand
from orders.models import Product, Stock

SKU: Final = "BENCH"


def prepare() -> None:
    """In an empty shop: what requests write to, and jobs."""
    set_on_hand(product=Product.objects.create(sku=SKU, slug="bench", name="Bench", price=1), on_hand=1, note="bench")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_effect (n int, started double precision)")


def change_something() -> None:
    """What every request of the comparison writes before it asks for the job."""
    Stock.objects.filter(product__sku=SKU).update(on_hand=F("on_hand") + 1)


def leave_a_row(n: int) -> None:
    started = time.time()
    Event.objects.order_by("id").values_list("id").first()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_effect VALUES (%s, %s)", [n, started])
