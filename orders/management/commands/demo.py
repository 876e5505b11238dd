"""A shop to look at: products, and orders that went through the real checkout."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from orders import fulfilment, inventory
from orders.checkout import AlreadyAnswered, AlreadyPlaced, Buyer, Declined, Item, Key, KeyInProgress, place_order
from orders.gateways import stripe
from orders.idempotency import remember
from orders.models import Order, Product, ProductPrice, ShippingMethod, ShippingPrice, Stock, TaxRate, Voucher
from orders.payments import charge_of, settle
from orders.refunds import Units, refund
from orders.status import WrongStatus, move

SCOPE = "demo"  # of the keys under which the demo's orders are placed once

# ruff: noqa: E501  one product, one line
# sku, name, price in cents, units, illustration, description
PRODUCTS = (
    ("MUG-RED", "Red enamel mug", 1490, 5000, "mug-red", "Holds 400 ml of tea and survives the dishwasher, the campfire and the office."),
    ("MUG-BLUE", "Blue enamel mug", 1490, 240, "mug-blue", "The red one's quieter sibling. Same steel, same 400 ml, same habit of outliving desks."),
    ("PRINT-A3", "Harbour print, A3", 2900, 50, "print-a3", "Cranes at dawn in four colours on heavy uncoated paper. Numbered by hand."),
    ("LAST-ONE", "The last lamp", 8900, 1, "last-one", "A brass desk lamp from a closed workshop. There is exactly one, and it will be sold exactly once."),
    ("TOTE-NAT", "Canvas tote", 1900, 320, "tote", "Heavy canvas, long handles, a pocket for the keys. Carries a week of groceries."),
    ("NOTE-DOT", "Dotted notebook", 1250, 410, "notebook", "160 pages that lie flat, with numbered corners and a ribbon."),
    ("PEN-BRASS", "Brass pen", 3400, 85, "pen", "Turned from one bar of brass. Takes any standard refill and gets better with the years."),
    ("CAP-WOOL", "Wool cap", 2700, 140, "cap", "Boiled wool with a short brim, for docks in November."),
    ("STICK-SET", "Sticker set", 450, 900, "sticker", "Twelve routing labels for laptops, bicycles and lunch boxes."),
    ("PUZZLE-MAP", "Sea chart puzzle", 3200, 64, "puzzle", "1000 pieces of coastline, soundings and one well-hidden lighthouse."),
    ("CANDLE-TAR", "Tar and cedar candle", 2200, 3, "candle", "Smells of boat sheds. Burns for forty hours."),
    ("TUBE-A3", "Poster tube", 790, 260, "poster-tube", "Stiff kraft tube for prints up to A3, with two caps that stay on."),
    ("SOCKS-MER", "Merino socks", 1600, 0, "socks", "Knitted thick at heel and toe. Sold out more often than not."),
    ("BOTTLE-ST", "Steel bottle", 2600, 175, "bottle", "Keeps 700 ml hot through a night watch."),
)  # fmt: skip


# Standard rates in hundredths of a per cent; prices contain them, so nobody pays more by where they live.
TAXES = {
    "AT": 2000,
    "BE": 2100,
    "DE": 1900,
    "DK": 2500,
    "ES": 2100,
    "FR": 2000,
    "IE": 2300,
    "IT": 2200,
    "NL": 2100,
    "SE": 2500,
}

# What a euro costs, roughly, and to what a price is rounded; the lamp stays in Europe.
CURRENCIES = {"USD": (110, 10), "JPY": (160, 50)}
ONLY_IN_EUROS = ("LAST-ONE",)
DELIVERY = {"standard": {"USD": 590, "JPY": 850}, "express": {"USD": 1190, "JPY": 1700}}

VOUCHERS = (
    {"code": "WELCOME10", "kind": "percent", "value": 10, "first_order_only": True},
    {"code": "FIVER", "kind": "amount", "value": 500, "currency": "EUR", "minimum": 3000, "most": 200, "most_each": 1},
)


@dataclass(frozen=True)
class DemoOrder:
    name: str
    sku: str
    quantity: int
    card: str
    voucher: str = ""
    currency: str = ""
    then: str = ""  # what staff did with it, by its name in AFTERWARDS


ORDERS = (
    DemoOrder("Ada Okafor", "TOTE-NAT", 2, "pm_card_visa"),
    DemoOrder("Ben Lindqvist", "PEN-BRASS", 1, "pm_card_visa"),
    DemoOrder("Cleo Marchetti", "PUZZLE-MAP", 1, "pm_card_chargeDeclined"),
    DemoOrder("Dov Haruna", "NOTE-DOT", 3, "pm_bank_error_after_charge"),
    DemoOrder("Edda Brandt", "CAP-WOOL", 1, "pm_card_visa", voucher="WELCOME10"),
    DemoOrder("Femi Sato", "BOTTLE-ST", 2, "pm_card_visa", currency="USD"),
    DemoOrder("Gus Okonkwo", "MUG-BLUE", 4, "pm_card_visa", then="ship a part"),
    DemoOrder("Hana Petit", "TUBE-A3", 2, "pm_card_visa", then="ship"),
    DemoOrder("Ivo Castell", "STICK-SET", 5, "pm_card_visa", then="complete"),
    DemoOrder("Jun Halloran", "PUZZLE-MAP", 1, "pm_card_visa", then="cancel"),
    DemoOrder("Kaia Adeyemi", "NOTE-DOT", 2, "pm_card_visa", then="refund"),
    DemoOrder("Lev Amsel", "PEN-BRASS", 1, "pm_card_refundFail", then="refund"),  # its bank sends the refund back
    DemoOrder("Mira Solberg", "TOTE-NAT", 1, "pm_card_authenticationRequired", then="expire"),
    DemoOrder("Noor Vance", "BOTTLE-ST", 1, "pm_card_authenticationRequired"),  # waits for its buyer
)


class Command(BaseCommand):
    help = "Add the demo products and orders that are not there yet."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print facts for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        _add_goods()
        for number, order in enumerate(ORDERS, start=1):
            _place(f"{SCOPE}-{number}", order)
        if options["json"]:
            self.stdout.write(json.dumps(_facts(), indent=2))
        else:
            self.stdout.write(f"{len(PRODUCTS)} products and {len(ORDERS)} orders are there.")


def _facts() -> dict[str, Any]:
    """What there is now: each SKU with what can be bought of it, each order's number with its status."""
    stocks = Stock.objects.filter(product__sku__in=[facts[0] for facts in PRODUCTS]).select_related("product")
    orders = Order.objects.filter(idempotency_keys__scope=SCOPE).order_by("pk")
    return {
        "products": {stock.product.sku: stock.available for stock in stocks.order_by("product_id")},
        "orders": dict(orders.values_list("number", "status")),
    }


@transaction.atomic
def _add_goods() -> None:
    """All or none: a shop that has some of it no longer counts as empty when it is opened."""
    for facts in PRODUCTS:
        _add_product(*facts)
    _add_terms()


def _add_product(sku: str, name: str, price: int, units: int, art: str, description: str) -> None:
    facts = {"slug": sku.lower(), "name": name, "price": price, "art": art, "description": description}
    product, _ = Product.objects.get_or_create(sku=sku, defaults=facts)
    if not Stock.objects.filter(product=product).exists():
        inventory.set_on_hand(product=product, on_hand=units, note="demo")


def _add_terms() -> None:
    for country, rate in TAXES.items():
        TaxRate.objects.get_or_create(country=country, tax_class="standard", defaults={"rate": rate})
    for facts in VOUCHERS:
        Voucher.objects.get_or_create(code=facts["code"], defaults=facts)
    for product in Product.objects.filter(sku__in=[facts[0] for facts in PRODUCTS]).exclude(sku__in=ONLY_IN_EUROS):
        for currency, (per_euro, step) in CURRENCIES.items():
            # Rounded up to the step, in minor units: yen have none.
            worth = product.price * per_euro // 100
            defaults = {"price": -(-worth // step) * step}
            ProductPrice.objects.get_or_create(product=product, currency=currency, defaults=defaults)
    for method in ShippingMethod.objects.filter(code__in=DELIVERY):
        for currency, price in DELIVERY[method.code].items():
            ShippingPrice.objects.get_or_create(method=method, currency=currency, defaults={"price": price})


def _ship_a_part(order: Order) -> None:
    line = order.lines.get()
    fulfilment.ship(order=order, lines=[Units(sku=line.sku, quantity=1)], carrier="PostNL", tracking="3SDEMO0001")


def _complete(order: Order) -> None:
    fulfilment.ship(order=order, carrier="PostNL", tracking="3SDEMO0002")
    with transaction.atomic():
        order.refresh_from_db()
        move(order, Order.Status.COMPLETED)


def _expire(order: Order) -> None:
    attempt = order.attempts.get()
    settle(attempt_id=attempt.pk, outcome=stripe.cancel(charge_of(attempt), gateway_id=attempt.gateway_id))


AFTERWARDS: dict[str, Callable[[Order], object]] = {
    "ship a part": _ship_a_part,
    "ship": lambda order: fulfilment.ship(order=order, carrier="DHL", tracking="JD0140000000"),
    "complete": _complete,
    "cancel": lambda order: fulfilment.cancel(order=order, reason="Found it in a drawer after all."),
    "refund": lambda order: refund(order=order, reason="Arrived too late for the birthday."),
    "expire": _expire,
}


def _place(name: str, order: DemoOrder) -> None:
    key = Key(scope=SCOPE, key=name, request_hash="demo")
    email = f"{order.name.split()[0].lower()}@example.com"
    address = {
        "name": order.name,
        "line1": "Kaistraße 7",
        "line2": "",
        "postal_code": "20457",
        "city": "Hamburg",
        "country": "DE",
    }
    try:
        placed = place_order(
            items=[Item(sku=order.sku, quantity=order.quantity)],
            buyer=Buyer(email=email, shipping_address=address),
            payment_method=order.card,
            currency=order.currency,
            voucher=order.voucher,
            key=key,
        )
        if order.then:
            AFTERWARDS[order.then](placed)
    except Declined as refusal:
        remember(key=key, status=402, body={}, order=refusal.order)
    except (AlreadyPlaced, AlreadyAnswered, KeyInProgress):
        pass  # it is there
    except WrongStatus:
        pass  # the bank is silent: it stays as placed
