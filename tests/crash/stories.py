"""What clients were told, in their own order, held against what the bank has done.

I13: no "paid" without a charge, no "failed" for a charge that is kept. I9: one key, one final answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orders import books
from orders.models import Order, Refund
from tests.crash.flow import Facts, is_final

OPEN = ("pending", "checking", "requires_action", "authorized", "refunded", "partly_refunded")


@dataclass
class Story:
    """What one client asked for and was told. None stands for a connection that broke."""

    facts: Facts
    answers: list[Any] = field(default_factory=list)

    @property
    def heard(self) -> list[Any]:
        return [answer for answer in self.answers if answer is not None]

    @property
    def content(self) -> bool:
        return bool(self.answers) and self.answers[-1] is not None and is_final(self.answers[-1])


def wrong(story: Story) -> Iterator[str]:
    """What this client was told and is not so."""
    name, verb = story.facts.get("tag", "?"), story.facts["verb"]
    for answer in story.heard:
        if answer["status"] >= 500 and not (answer["status"] == 503 and answer["again"]):
            yield f"I15 {name} got {answer['status']}: {answer['body']}"
    final = [answer for answer in story.heard if is_final(answer) and answer["status"] not in (404, 422)]
    told = {(answer["status"], str(answer["body"])) for answer in final}
    if len(told) > 1 and verb in JUDGED:
        yield f"I9 {name} got different final answers to one {verb}: {sorted(told)}"
    if verb in JUDGED:
        yield from (f"{name}: {line}" for answer in story.heard for line in JUDGED[verb](story.facts, answer))


def _checkout(facts: Facts, answer: dict[str, Any]) -> Iterator[str]:
    status, body = answer["status"], answer["body"]
    order = _order(facts["key"])
    taken, kept = _money(order)
    if status == 201 and (order is None or (body["number"], order.total) != (order.number, taken)):
        yield f"I13 was told “paid”, and the bank took {taken} for {order}"
    if status == 202 and (order is None or body["number"] != order.number):
        yield f"I9 was told of {body['number']}, and the key leads to {order}"
    if status == 202 and body["payment_status"] not in OPEN:
        yield f"I13 was told 202 with payment {body['payment_status']}"
    if status in (402, 409) and not answer["again"] and kept:
        yield f"I13 was told {body['code']}, and the bank keeps {kept}"


def _refund(facts: Facts, answer: dict[str, Any]) -> Iterator[str]:
    """Each refund that was told of as done is with the bank, once, or we know that the bank has taken its word back;
    one that failed is not there.
    """
    refunds = books.read_ledger().refunds
    for told in (answer["body"] or {}).get("refunds", ()):
        there = refunds.get(told["id"], [])
        taken_back = not there and Refund.objects.filter(pk=told["id"], state=Refund.State.FAILED).exists()
        if told["status"] == "done" and not taken_back and [a for _, a in there] != [told["amount"]["amount"]]:
            yield f"I11 was told of {told['amount']['amount']} given back, and the bank says {there}"
        if told["status"] == "failed" and there:
            yield f"I13 was told that nothing was given back, and the bank says {there}"


def _cancel(facts: Facts, answer: dict[str, Any]) -> Iterator[str]:
    order = _order(facts["of"])
    _, kept = _money(order)
    if answer["status"] == 200 and (kept or order is None or order.status not in ("cancelled", "refunded", "expired")):
        yield f"I13 was told “cancelled”: {order} is {order and order.status}, and the bank keeps {kept}"


def _ship(facts: Facts, answer: dict[str, Any]) -> Iterator[str]:
    order = _order(facts["of"])
    if answer["status"] != 201 or order is None:
        return
    if not order.shipments.filter(pk=answer["body"]["shipment"]["id"]).exists():
        yield f"was told of a parcel of {order} that is not there"
    if not _money(order)[0]:
        yield f"I6 {order} was shipped, and the bank took nothing"


JUDGED = {"checkout": _checkout, "refund": _refund, "return": _refund, "cancel": _cancel, "ship": _ship}


def _order(key: str) -> Order | None:
    return Order.objects.filter(idempotency_keys__key=key, idempotency_keys__made="").first()


def _money(order: Order | None) -> tuple[int, int]:
    """What the bank took for this order, and what of it it still keeps for us; not what a person knows to be owed."""
    if order is None:
        return 0, 0
    ledger = books.read_ledger()
    references = [str(attempt.pk) for attempt in order.attempts.all()]
    owed = sum(refund.amount for refund in order.refunds.lost())
    taken = sum(amount for reference in references for amount, _ in ledger.charged.get(reference, ()))
    return taken, max(0, sum(ledger.kept(reference) for reference in references) - owed)
