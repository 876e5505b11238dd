"""New products for a test, with so many units of each: NAME-0, NAME-1, ...; the n-th costs 1250 + n.

`python -m tests.faults.shelf NAME COUNT UNITS` runs in the shop's environment, through the shop's own verbs, so that
the books know of them.
"""

import os
import subprocess
import sys

import django

from tests.rig import CHECKOUT

PRICE = 1250


def new_products(shop, name, count, units):
    """Their SKUs."""
    argv = [sys.executable, "-m", "tests.faults.shelf", name, str(count), str(units)]
    subprocess.run(argv, cwd=CHECKOUT, env=shop.environment(), check=True, timeout=300)
    return [f"{name}-{n}" for n in range(count)]


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from orders.inventory import set_on_hand
    from orders.models import Product

    name, count, units = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for n in range(count):
        sku = f"{name}-{n}"
        product = Product.objects.create(sku=sku, slug=sku.lower(), name=f"Test {sku}", price=PRICE + n)
        set_on_hand(product=product, on_hand=units, note="for a test")


if __name__ == "__main__":
    main()
