"""What buyers do, and what the bank tells of them by itself."""

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client

from orders.gateways.bank.faults import PATHS
from orders.gateways.bank.webhooks import signature
from orders.inventory import set_on_hand
from orders.models import Order, PaymentAttempt, Product
from tests.crash import points
from tests.crash.flow import Facts, Flow, Say, call, client, new_key, order_body, seen_of
from tests.crash.stage import SECRET
from tests.journeys.visitor import FormReader
from tests.rig import ADDRESS

TOLD_WITHIN = 10.0  # seconds until the bank's word of a payment has come


def product(sku: str, *, units: int, price: int = 1490) -> Product:
    made = Product.objects.create(sku=sku, slug=sku.lower(), name=f"Product {sku}", price=price)
    set_on_hand(product=made, on_hand=units, note="crash test")
    return made


def a_checkout(tag: str, card: str = "pm_card_visa") -> Facts:
    for sku in ("MUG", "PRINT"):
        if not Product.objects.filter(sku=sku).exists():
            product(sku, units=5000)
    order = order_body(f"{tag}@example.com", [("MUG", 1), ("PRINT", 2)], card)
    return {"verb": "checkout", "tag": tag, "key": new_key(), "order": order}


def place(facts: Facts) -> dict[str, Any]:
    return call("/api/v1/orders/", facts["order"], key=facts["key"])


def check_out(facts: Facts, *, say: Say) -> None:
    say(place(facts))


def paid_in_the_end(_: Facts, heard: list[Any]) -> Iterator[str]:
    if heard[-1]["status"] != 201:
        yield f"the card is good, and the client's last word is {heard[-1]}"


def a_placed_order(tag: str, card: str = "pm_card_visa") -> Facts:
    """Placed, with nothing of its pipeline run yet. `of` is the key under which it was placed."""
    facts = a_checkout(tag, card)
    answer = place(facts)
    assert answer["status"] in (201, 202), answer
    return {"tag": tag, "of": facts["key"], "number": answer["body"]["number"], "key": new_key()}


def order_of(facts: Facts) -> Order | None:
    return Order.objects.filter(idempotency_keys__key=facts["of"]).first()


# -- the form -----------------------------------------------------------------------------------


def a_filled_form(tag: str) -> Facts:
    """Two things in the cart, and the checkout page filled in, with its own key in it; one click is left to do."""
    a_checkout(tag)  # for the products
    visitor = Client(raise_request_exception=False, SERVER_NAME="localhost")
    for sku, quantity in (("MUG", 1), ("PRINT", 2)):
        visitor.post("/cart/add/", {"sku": sku, "quantity": quantity})
    fields = _fields(visitor.get("/checkout/").content.decode(), "/checkout/")
    typed = {**ADDRESS, "email": f"{tag}@example.com", "payment_method": "pm_card_visa"}
    cookie = visitor.cookies[settings.SESSION_COOKIE_NAME].value
    return {"verb": "form", "tag": tag, "key": fields["key"], "cookie": cookie, "form": {**fields, **typed}}


def _fields(page: str, action: str) -> dict[str, str]:
    reader = FormReader()
    reader.feed(page)
    return dict(next(form.fields for form in reader.forms if form.action == action))


def click(facts: Facts, *, say: Say) -> None:
    """The button, or the browser's own "send again"."""
    visitor = Client(raise_request_exception=False, SERVER_NAME="localhost")
    visitor.cookies[settings.SESSION_COOKIE_NAME] = facts["cookie"]
    say(seen_of(visitor.post("/checkout/", facts["form"])))


def bought_once(facts: Facts, heard: list[Any]) -> Iterator[str]:
    orders = Order.objects.filter(email=facts["form"]["email"])
    if [order.status for order in orders] != [Order.Status.PAID]:
        yield f"one form, and the orders are {[(order.number, order.status) for order in orders]}"
    if heard[-1]["status"] != 303:
        yield f"the buyer was not led to the order, but got {heard[-1]['status']}"


# -- the bank's own word ------------------------------------------------------------------------


def an_event(tag: str) -> Facts:
    """The bank has charged and broken off; what it then sends by itself has not been brought to the shop."""
    facts = a_placed_order(tag, "pm_bank_error_after_charge")
    reference = str(PaymentAttempt.objects.get(order__number=facts["number"]).pk)
    return {**facts, "verb": "webhook", "body": _event_about(reference)}


def _event_about(reference: str) -> str:
    deadline = time.monotonic() + TOLD_WITHIN
    while time.monotonic() < deadline:
        found = [body for body in all_told() if reference in body]
        if found:
            return found[-1]
        time.sleep(0.005)
    raise AssertionError(f"the bank told nothing of {reference}")


def all_told() -> list[str]:
    """Every letter of the bank so far, as it was signed."""
    lines = (Path(settings.WAYBILL_DATA) / "events.jsonl").read_text().splitlines()
    return [json.loads(line)["body"] for line in lines]


def bring_event(facts: Facts, *, say: Say) -> None:
    """As the bank would: signed anew at each try."""
    answer = client.post(
        "/webhooks/stripe/",
        data=facts["body"],
        content_type="application/json",
        headers={"Stripe-Signature": signature(facts["body"].encode(), SECRET)},
    )
    say(seen_of(answer))


def event_applied(facts: Facts, heard: list[Any]) -> Iterator[str]:
    if heard[-1]["status"] != 200:
        yield f"the bank's last word was answered {heard[-1]}"
    order = Order.objects.get(number=facts["number"])
    if order.status != Order.Status.PAID:
        yield f"{order} is {order.status}"


# -- the bank's own page ------------------------------------------------------------------------


def at_the_bank(key: str, decision: str) -> None:
    """What the buyer of this request does on the bank's own page, where the bank wants to see them."""
    attempt = PaymentAttempt.objects.filter(order__idempotency_keys__key=key, state="requires_action").first()
    if attempt is not None:
        form = urlencode({"decision": decision}).encode()
        with contextlib.suppress(urllib.error.HTTPError):  # the way back leads to a web process that is not there
            urllib.request.build_opener(StayThere).open(attempt.action_url, form, timeout=5).close()


def spoil_next(path: str, mode: str) -> None:
    """The bank's next request of this kind fails in this way."""
    _tell_bank({"path": path, "mode": mode, "times": 1})


def calm_bank() -> None:
    """Whatever was to go wrong at the bank, and has not yet, will not."""
    for path in PATHS:
        _tell_bank({"path": path, "mode": "none"})


def _tell_bank(fault: dict[str, Any]) -> None:
    asked = json.dumps(fault).encode()
    urllib.request.urlopen(f"{settings.STRIPE_API_BASE}/test/faults", asked, timeout=5).close()


class StayThere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


CHECKOUT = Flow(
    name="checkout",
    prepare=a_checkout,
    act=check_out,
    point=points.checkout,
    wrong=paid_in_the_end,
    least=38,
)
FORM = Flow(
    name="form",
    prepare=a_filled_form,
    act=click,
    point=points.checkout,
    wrong=bought_once,
    least=40,
)
WEBHOOK = Flow(
    name="webhook",
    prepare=an_event,
    act=bring_event,
    point=points.webhook,
    wrong=event_applied,
    least=20,
)
