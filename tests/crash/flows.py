"""What is killed: each flow drives one verb of the shop as its client would, and says what must be true in the end.

A flow's `prepare` makes the world in which it happens and returns plain facts; `act` does it once, in a child, and
tells its client what came of it. A client that was cut off acts again with the same facts; `final` says of an
answer whether the client is content with it.
"""

import contextlib
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.test import Client
from django.utils import timezone

from notifications.pipeline import clock, rescue
from notifications.pipeline.executor import Executor
from notifications.pipeline.models import Delivery, Worker
from orders.inventory import set_on_hand
from orders.models import Order, PaymentAttempt, Product
from tests.crash import actors, points, rows
from tests.rig import ADDRESS

Facts = dict[str, Any]
Say = Callable[[Any], None]


@dataclass(frozen=True)
class Flow:
    name: str
    prepare: Callable[[str], Facts]
    act: Callable[[Facts, Say], None]
    point: Callable[[Any], str]
    final: Callable[[Any], bool]
    wrong: Callable[[Facts, list[Any]], Iterator[str]]  # given all its answers: what is not as it should be
    least: int  # fewer boundaries than this, and the instrument has missed some
    by_relay: bool = False  # nobody acts again: the pipeline does, by itself


# -- how a program speaks to the shop -----------------------------------------------------------

# One for each process: loading the middleware takes longer than a request. A fault is a 500, as in life.
client = Client(raise_request_exception=False, SERVER_NAME="localhost")


def post(path: str, body: Any, *, key: str, bearer: str) -> dict[str, Any]:
    """One API call through the whole stack of the web process, and what a client would see of its answer."""
    answer = client.post(
        path,
        data=json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {bearer}", "Idempotency-Key": key},
    )
    return seen_of(answer)


def seen_of(answer) -> dict[str, Any]:
    body = json.loads(answer.content) if "json" in answer.headers.get("Content-Type", "") else None
    replayed = answer.headers.get("Idempotent-Replayed") == "true"
    return {"status": answer.status_code, "body": body, "replayed": replayed, "again": "Retry-After" in answer.headers}


# -- the shop before a flow ---------------------------------------------------------------------


def product(sku: str, *, units: int, price: int = 1490):

    made = Product.objects.create(sku=sku, slug=sku.lower(), name=f"Product {sku}", price=price)
    set_on_hand(product=made, on_hand=units, note="crash test")
    return made


def order_body(email: str, items: list[tuple[str, int]], card: str = "pm_card_visa") -> dict[str, Any]:
    return {
        "email": email,
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in items],
        "shipping_address": ADDRESS,
        "shipping_method": "standard",
        "payment_method": card,
    }


def new_key() -> str:
    return secrets.token_hex(16)


def place(facts: Facts) -> dict[str, Any]:
    return post("/api/v1/orders/", facts["order"], key=facts["key"], bearer=rows.bearers[rows.CUSTOMER])


def a_checkout(tag: str, card: str = "pm_card_visa") -> Facts:

    for sku in ("MUG", "PRINT"):
        if not Product.objects.filter(sku=sku).exists():
            product(sku, units=5000)
    return {"tag": tag, "key": new_key(), "order": order_body(f"{tag}@example.com", [("MUG", 1), ("PRINT", 2)], card)}


def a_paid_order(tag: str) -> Facts:
    """Placed and paid, with nothing of its pipeline run yet."""
    facts = a_checkout(tag)
    answer = place(facts)
    assert answer["status"] == 201, answer
    return {**facts, "number": answer["body"]["number"]}


# -- checkout -----------------------------------------------------------------------------------


def check_out(facts: Facts, say: Say) -> None:
    say(place(facts))


def is_final(answer: Any) -> bool:
    return answer["status"] in (200, 201, 402, 422) or (answer["status"] == 409 and not answer["again"])


def paid_in_the_end(facts: Facts, answers: list[Any]) -> Iterator[str]:
    if answers[-1]["status"] != 201:
        yield f"the card is good, and the client's last word is {answers[-1]}"


CHECKOUT = Flow(
    name="checkout",
    prepare=a_checkout,
    act=check_out,
    point=points.checkout,
    final=is_final,
    wrong=paid_in_the_end,
    least=35,
)


# -- deliveries ---------------------------------------------------------------------------------


def run_one(facts: Facts, say: Say) -> None:
    """A worker process, from its birth to the end of one delivery."""
    executor = new_executor()
    executor.attempt(facts["delivery"])
    executor.stop(grace=0)
    say({"status": 200, "body": None, "again": False})


def new_executor():

    return Executor(kind=Worker.Kind.WORKER)


def delivery_of(handler: str, about: str) -> int:

    order = Order.objects.get(number=about)
    return Delivery.objects.filter(handler=handler, event__subject=f"order:{order.pk}").latest("pk").pk


def a_confirmation(tag: str) -> Facts:
    facts = a_paid_order(tag)
    return {**facts, "delivery": delivery_of("orders.email_confirmation", facts["number"])}


def a_letter(tag: str) -> Facts:
    """The confirmation is written, and its posting is due."""
    facts = a_confirmation(tag)
    executor = new_executor()
    executor.attempt(facts["delivery"])
    executor.stop(grace=0)
    return {**facts, "delivery": delivery_of("notifications.send_letter", facts["number"])}


def an_unanswered_payment(tag: str) -> Facts:
    """The bank has charged and said nothing; the shop is about to ask it."""
    facts = a_checkout(tag, "pm_bank_error_after_charge")
    answer = place(facts)
    assert answer["status"] == 202, answer
    number = answer["body"]["number"]
    delivery = delivery_of("orders.ask_gateway", number)
    make_due(delivery)
    return {**facts, "number": number, "delivery": delivery}


def make_due(delivery: int) -> None:

    Delivery.objects.filter(pk=delivery).update(available_at=timezone.now())


def done_in_the_end(facts: Facts, answers: list[Any]) -> Iterator[str]:

    row = Delivery.objects.get(pk=facts["delivery"])
    if row.state != Delivery.State.DONE:
        yield f"{row} is {row.state}: {row.last_error}"


def _delivery(name, prepare, least):
    return Flow(
        name=name,
        prepare=prepare,
        act=run_one,
        point=points.delivery,
        final=is_final,
        wrong=done_in_the_end,
        least=least,
        by_relay=True,
    )


CONFIRMATION = _delivery("confirmation", a_confirmation, 12)
LETTER = _delivery("letter", a_letter, 35)
QUESTION = _delivery("question", an_unanswered_payment, 25)


# -- the relay, which carries on after every death ------------------------------------------------


def relay_round(moved: float, say: Say | None = None) -> None:
    """One round of a relay that runs everything itself: time, the dead, and what is due until nothing is.

    `moved`: how many seconds have passed for the rows, and so for the clock whose minutes it announces.
    """

    executor = new_executor()
    clock.tick(timezone.now() + timedelta(seconds=moved))
    rescue.rescue_abandoned(but=executor.worker)
    while due := list(Delivery.objects.due(timezone.now()).values_list("pk", "handler")):
        for pk, handler in due:
            if actors.watched:
                actors.watched.continue_as(handler, points.delivery)
            executor.attempt(pk)
    executor.stop(grace=0)


def at_the_bank(key: str, decision: str) -> None:
    """What the buyer of this request does on the bank's own page, where the bank wants to see them."""
    attempt = PaymentAttempt.objects.filter(order__idempotency_keys__key=key, state="requires_action").first()
    if attempt is not None:
        form = urlencode({"decision": decision}).encode()
        with contextlib.suppress(urllib.error.HTTPError):  # the way back leads to a web process that is not there
            urllib.request.build_opener(StayThere).open(attempt.action_url, form, timeout=5).close()


class StayThere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def prepare(name: str, tag: str) -> Facts:
    return FLOWS[name].prepare(tag)


def rehearse() -> None:
    """Everything once, in the process from which the actors are forked."""
    a_letter("rehearsal")
    relay_round(0.0)


FLOWS = {flow.name: flow for flow in (CHECKOUT, CONFIRMATION, LETTER, QUESTION)}
