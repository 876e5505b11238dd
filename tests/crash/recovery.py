"""Recovery until quiet, and the judgement: the shop's books, the bank's ledger, the mailbox, every client's story."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from notifications.mail.models import Letter
from notifications.pipeline import delivery
from notifications.pipeline.models import Delivery
from orders import books
from orders.models import Order, OrderLine, PaymentAttempt, Refund, Stock, StockMovement
from tests.crash.actors import Part
from tests.crash.flows import Facts, relay_round
from tests.crash.stage import LATE, Stage

FIRST_ROUNDS = (0, 20, 20)  # seconds that pass before each; then a minute each
LONGEST = 15.0  # seconds of real time until rest; the bank's late charges take a part of it
AT_LEAST_ROUNDS = 12


@dataclass
class Story:
    """What one client asked for and was told, in order. None stands for a connection that broke."""

    facts: Facts
    answers: list[Any] = field(default_factory=list)

    @property
    def heard(self) -> list[Any]:
        return [answer for answer in self.answers if answer is not None]


def recover(stage: Stage) -> list[str]:
    """Relays at work while time passes, until nothing is left to do. Returns what never came to rest."""
    began, rounds = time.monotonic(), 0
    while True:
        stage.move_time(FIRST_ROUNDS[rounds] if rounds < len(FIRST_ROUNDS) else 60)
        ending = stage.player(0).start(Part(relay_round, (stage.moved,))).ending()
        if ending.broke:
            return [f"the relay broke: {ending.broke}"]
        rounds += 1
        unrest = stage.ask(_unrest)
        stage.pressed += stage.ask(_press_retry)
        if not unrest or (rounds >= AT_LEAST_ROUNDS and time.monotonic() - began > LONGEST):
            return unrest
        time.sleep(LATE / 10)


def _press_retry() -> int:
    """What a person does about a delivery that killed its worker three times: here, others killed it."""
    poisoned = Delivery.objects.dead().filter(last_error__startswith="It killed its worker")
    return delivery.retry_all(deliveries=list(poisoned), by="person")


def _unrest() -> list[str]:
    return list(_restless())


def _restless() -> Iterator[str]:

    for attempt in PaymentAttempt.objects.open().select_related("order"):
        yield f"{attempt.order}: the payment is still {attempt.state}"
    for refund in Refund.objects.open().select_related("order"):
        yield f"{refund.order}: a refund is still {refund.state}"
    states = [Delivery.State.READY, Delivery.State.RUNNING, Delivery.State.DEAD]
    waiting = Delivery.objects.filter(state__in=states)
    yield from (f"{row} is still {row.state}: {row.last_error}" for row in waiting)


# -- judgement --------------------------------------------------------------------------------


def judge(stage: Stage, stories: list[Story], *, mail_kills: int = 0) -> list[str]:
    """Every violation, as a sentence. `mail_kills`: deaths while nobody knew whether a letter was accepted."""
    stage.show_ledger()
    return stage.ask(_judged, stories, stage.receipts(), mail_kills)


def _judged(stories, receipts, mail_kills):
    told = (line for story in stories for line in _told_the_truth(story))
    return [*_books(), *_shelves(), *_letters(receipts, mail_kills), *_dead(), *told]


def _books() -> Iterator[str]:

    for checked in books.invariants():
        if checked.violations:
            yield f"{checked.id} {checked.title}: {checked.violations}: {'; '.join(checked.examples)}"


def _shelves() -> Iterator[str]:
    """Counted by ourselves, for a shop whose own checks or constraints may be what is broken."""

    brought = _sums(StockMovement.objects.exclude(reason="sale").values_list("product", "quantity"))
    sold = _sums(_sold().values_list("product", "quantity"))
    for stock in Stock.objects.select_related("product"):
        if not 0 <= stock.reserved <= stock.on_hand:
            yield f"OVERSELL {stock.product.sku}: {stock.on_hand} on hand, {stock.reserved} reserved"
        if sold[stock.product_id] > brought[stock.product_id]:
            yield f"OVERSELL {stock.product.sku}: {sold[stock.product_id]} sold of {brought[stock.product_id]}"


def _sold():

    return OrderLine.objects.filter(order__status__in=books.PAID)


def _sums(pairs):
    sums = defaultdict(int)
    for key, value in pairs:
        sums[key] += value
    return sums


def _letters(receipts, mail_kills) -> Iterator[str]:
    """The mailbox has each letter that we call sent; and no more copies than deaths that explain them."""

    copies = Counter(receipt["message_id"] for receipt in receipts)
    for letter in Letter.objects.all():
        if letter.state == Letter.State.SENT and not copies[letter.message_id]:
            yield f"I8 {letter} is called sent, and never arrived"
    extra = sum(count - 1 for count in copies.values())
    if extra > mail_kills:
        yield f"I8 {extra} letters came twice, and only {mail_kills} deaths explain it"


def _dead() -> Iterator[str]:

    for row in Delivery.objects.dead():
        yield f"I8 {row} is dead: {row.last_error}"


# -- what the clients say ----------------------------------------------------------------------


def _told_the_truth(story: Story) -> Iterator[str]:
    """I13 and I9: no "paid" without a charge, no "failed" for a charge that is kept, one answer for one key."""
    if "order" not in story.facts:
        return
    kept, total = _kept(story.facts["key"])
    name = story.facts["order"]["email"]
    for answer in story.heard:
        yield from (f"{name}: {wrong}" for wrong in _one_answer(answer, kept, total))
    final = [answer for answer in story.heard if answer["status"] in (201, 402)]
    if len({(answer["status"], str(answer["body"])) for answer in final}) > 1:
        yield f"I9 {name} got different final answers: {[answer['status'] for answer in final]}"
    numbers = {answer["body"]["number"] for answer in story.heard if answer["status"] in (201, 202)}
    if len(numbers) > 1:
        yield f"I9 {name} was told of several orders: {sorted(numbers)}"


def _one_answer(answer, kept, total) -> Iterator[str]:
    status, body = answer["status"], answer["body"]
    if status == 201 and kept != total:
        yield f"I13 was told “paid”, and the bank keeps {kept} of {total}"
    if status in (402, 409) and not answer["again"] and kept:
        yield f"I13 was told {body.get('code')}, and the bank keeps {kept}"
    if status == 202 and body["payment_status"] not in ("pending", "checking", "requires_action", "authorized"):
        yield f"I13 was told 202 with payment {body['payment_status']}"
    if status >= 500 and not (status == 503 and answer["again"]):
        yield f"I15 got {status}: {body}"


def _kept(key) -> tuple[int, int]:
    """What the bank keeps for the order of this key, and what the order costs."""

    order = Order.objects.filter(idempotency_keys__key=key).first()
    if order is None:
        return 0, 0
    ledger = books.read_ledger()
    return sum(ledger.kept(str(attempt.pk)) for attempt in order.attempts.all()), order.total
