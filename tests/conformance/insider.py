"""`python -m tests.conformance.insider`: does in the shop's own environment what a line of JSON on stdin asks for.

One process for all tests of a shop: to start one takes longer than most of what they ask.
"""

import json
import os
import sys

import django


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(DOES[asked.pop("do")](**asked)), flush=True)


def publish(kind, tag, count):
    """So many events about one subject, one commit each; when the first of them was committed."""
    import time

    from django.db import transaction

    from notifications import correlation
    from notifications.pipeline.events import publish as announce
    from tests.conformance.words import Asked

    began = time.time()
    for n in range(count):
        with correlation.bound(correlation_id=tag, actor="system"), transaction.atomic(durable=True):
            announce(Asked(kind=kind, tag=tag, n=n), about=f"test:{tag}")
    return began


def stock(sku):
    from orders import inventory
    from orders.models import Product

    product = Product.objects.create(sku=sku, slug=sku.lower(), name="A mug", price=1200)
    inventory.set_on_hand(product=product, on_hand=100, note="test")


def pause(handler):
    from notifications.pipeline import brakes

    brakes.pause(handler, by="test")


def resume(handler):
    from notifications.pipeline import brakes

    return brakes.resume(handler, by="test")


DOES = {"publish": publish, "stock": stock, "pause": pause, "resume": resume}

if __name__ == "__main__":
    main()
