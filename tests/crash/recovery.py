"""Recovery until quiet, and the judgement: the shop's books, the bank's ledger, the mailbox, every client's story."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator

from django.db.models import F

from notifications.mail.models import Letter
from notifications.pipeline import decisions
from notifications.pipeline.models import Delivery
from orders import books, repairs, settlement
from orders.models import Difference, OrderLine, PaymentAttempt, Refund, Stock, StockMovement
from tests.crash import buyer, stories
from tests.crash.actors import Part
from tests.crash.pipeline import relay_round
from tests.crash.stage import LATE, Stage
from tests.crash.stories import Story

FIRST_ROUNDS = (20, 40, 60, 600, 600)  # seconds that pass before each, until buyers may not approve any more; then
A_MINUTE = 60
LONGEST = 15.0  # seconds of real time until rest; the bank's late charges take a part of it
AT_LEAST_ROUNDS = 12
SETTLED = 130.0  # seconds after which the settlement takes a movement of money for settled


def recover(stage: Stage) -> list[str]:
    """Relays at work while time passes, until nothing is left to do. Returns what never came to rest."""
    began, rounds = time.monotonic(), 0
    while True:
        stage.move_time(FIRST_ROUNDS[rounds] if rounds < len(FIRST_ROUNDS) else A_MINUTE)
        ending = stage.player(0).start(Part(relay_round, (stage.moved,))).ending()
        if ending.broke:
            return [f"the relay broke: {ending.broke}"]
        rounds += 1
        unrest, pressed = stage.ask(_look_around)
        stage.pressed += pressed
        if not unrest or (rounds >= AT_LEAST_ROUNDS and time.monotonic() - began > LONGEST):
            return unrest
        time.sleep(LATE / 10)


def _look_around() -> tuple[list[str], int]:
    """What is still open; and how many deliveries a person has retried that killed three workers.

    Here, others killed those workers: a person cannot know, and retrying is what the failures page offers.
    """
    unrest = list(_unrest())
    poisoned = Delivery.objects.dead().filter(last_error__startswith="It killed its worker")
    return unrest, decisions.retry_all(deliveries=list(poisoned), by="person")


def _unrest() -> Iterator[str]:
    for attempt in PaymentAttempt.objects.open().select_related("order"):
        yield f"I12 {attempt.order}: the payment is still {attempt.state}"
    for refund in Refund.objects.open().select_related("order"):
        yield f"I12 {refund.order}: a refund is still {refund.state}"
    states = [Delivery.State.READY, Delivery.State.RUNNING, Delivery.State.DEAD]
    waiting = Delivery.objects.filter(state__in=states)
    yield from (f"I12 {row} is still {row.state}: {row.last_error}" for row in waiting)


# -- judgement --------------------------------------------------------------------------------


def judge(stage: Stage, told: list[Story], *, mail_kills: int = 0) -> list[str]:
    """Every violation, as a sentence. `mail_kills`: deaths while nobody knew whether a letter was accepted."""
    stage.ask(buyer.calm_bank)  # a fault that nobody met in the play is not for the judge
    if any("efund" in str(story.facts.get("order", "")) for story in told):
        time.sleep(LATE)  # some refunds come to their end, or to nothing, after the bank has called them done
    stage.move_time(SETTLED)
    return stage.ask(_judged, told, stage.receipts(), mail_kills)


def _judged(told, receipts, mail_kills):
    _believe_refunds_that_failed()
    of_stories = (line for story in told for line in stories.wrong(story))
    return [*_books(), *_settlement(), *_shelves(), *_letters(receipts, mail_kills), *of_stories]


def _books() -> Iterator[str]:
    for checked in books.invariants():
        if checked.violations:
            yield f"{checked.id} {checked.title}: {checked.violations}: {'; '.join(checked.examples)}"


def _believe_refunds_that_failed() -> None:
    """The hourly settlement finds a refund that failed days after it was done; here, a person presses its button."""
    lost = [found for found in settlement.settle_books() if found.kind == Difference.Kind.MISSING_REFUND]
    for found in lost:
        repairs.repair(found, by="person")


def _settlement() -> Iterator[str]:
    """The bank's own list, over its API, against our books."""
    yield from (f"I1 the bank disagrees: {found}: {found.detail}" for found in settlement.settle_books())


def _shelves() -> Iterator[str]:
    """Counted by ourselves, for a shop whose own checks or constraints may be what is broken."""
    brought = _sums(StockMovement.objects.filter(order=None).values_list("product", "quantity"))
    lines = OrderLine.objects.filter(order__paid_at__isnull=False)
    sold = _sums(lines.values_list("product", F("quantity") - F("restocked")))
    for stock in Stock.objects.select_related("product"):
        if not 0 <= stock.reserved <= stock.on_hand:
            yield f"OVERSELL {stock.product.sku}: {stock.on_hand} on hand, {stock.reserved} reserved"
        if sold[stock.product_id] > brought[stock.product_id]:
            yield f"OVERSELL {stock.product.sku}: {sold[stock.product_id]} sold of {brought[stock.product_id]}"


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
