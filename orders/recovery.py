"""Finish what a crash or a silent bank has left: ask the gateway by key until it tells, then settle."""

import threading
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from notifications.deadlines import within
from notifications.pipeline import doorbell
from notifications.pipeline.events import subject_of
from notifications.pipeline.models import Delivery
from orders.gateways import stripe
from orders.gateways.base import Outcome, Status
from orders.models import Order, PaymentAttempt
from orders.payments import OTHER_AMOUNT, charge_of, settle

# Within this time the buyer is taken to be waiting, and a charge that never arrived is sent again;
# later nobody expects to be charged any more, and the payment is called off at the gateway.
PATIENCE = timedelta(minutes=2)
# To find the phone, and the code on it. The stock hold lasts longer.
TIME_TO_APPROVE = timedelta(minutes=15)
BRIEFLY = 4.0  # seconds for one round of questions: no buyer waits for it, but other deliveries do
LONGEST_WAIT = 60.0  # seconds between two questions
WHILE_SILENT = 1.0  # seconds between two questions to a gateway that did not answer the last one
A_WORD = 1.0  # seconds that a gateway which has been silent gets to say anything
WHILE_WAITED_FOR = 2.0  # seconds between two questions while a buyer waits

# The gateway keeps a server error under the attempt's key, and answers with it for a day: trying again is in vain.
NEVER_OPENED = "not_opened"

ASKERS = ("orders.ask_gateway", "orders.settle_unanswered_payment")  # their names as handlers

NOBODY_KNOWS = Outcome(status=Status.UNKNOWN, gateway_id=None, amount=None, currency=None)
NOT_HELD = (Status.NOT_CHARGED, Status.DECLINED, Status.REQUIRES_ACTION)
State = PaymentAttempt.State


def abandon(*, attempt_id: UUID) -> None:
    """The process that was asking the bank has not come back: from now on, the outcome is unknown."""
    attempt = PaymentAttempt.objects.get(pk=attempt_id)
    if attempt.state == State.IN_FLIGHT:
        settle(attempt_id=attempt_id, outcome=NOBODY_KNOWS)


def ask_gateway(*, attempt_id: UUID) -> float | None:
    """Learn the truth about an open attempt, or about money that is held for a paid order, and settle it.

    Returns None when it has its end or is still held, or after how many seconds to ask again. Never charges twice:
    the gateway is asked by the attempt's own key, and a charge is sent again only under that key.
    """
    attempt = PaymentAttempt.objects.select_related("order").get(pk=attempt_id)
    if not (_is_open(attempt) or _is_held(attempt)):
        return None
    if not _gateway_speaks(attempt):
        return WHILE_SILENT
    with within(seconds=BRIEFLY):
        outcome = _truth(attempt)
    settle(attempt_id=attempt_id, outcome=outcome)
    attempt = PaymentAttempt.objects.select_related("order").get(pk=attempt_id)
    unheard = _is_held(attempt) and outcome.status is Status.UNKNOWN
    return _next_question(attempt) if _is_open(attempt) or unheard else None


# While the gateway is silent, one question at a time finds out when it is back: a hundred payments that each wait for
# a time-out would keep every worker busy with nothing. Known to this process only; others find out for themselves.
_silent = threading.Event()
_finding_out = threading.Lock()


def _gateway_speaks(attempt: PaymentAttempt) -> bool:
    if not _silent.is_set():
        return True
    if not _finding_out.acquire(blocking=False):
        return False
    try:
        with within(seconds=A_WORD):
            _listen(stripe.find(charge_of(attempt), gateway_id=attempt.gateway_id))
    finally:
        _finding_out.release()
    return not _silent.is_set()


def _listen(outcome: Outcome) -> None:
    """Remember whether the gateway answered a question. With its first word all who waited for it are asked about.

    A charge that failed says nothing here: two of them that time out in turn, while questions are answered, would wake
    each other without a pause.
    """
    no_answer = outcome.status is Status.UNKNOWN and outcome.code != ""
    if no_answer:
        _silent.set()
    elif _silent.is_set():
        _silent.clear()
        Delivery.objects.filter(handler=ASKERS[0], state=Delivery.State.READY).update(available_at=timezone.now())
        doorbell.ring()


def _is_open(attempt: PaymentAttempt) -> bool:
    return attempt.state in PaymentAttempt.OPEN or _to_be_let_go(attempt)


def _to_be_let_go(attempt: PaymentAttempt) -> bool:
    """Whether the bank still holds money of an order that nobody will ship."""
    return attempt.state == State.AUTHORIZED and attempt.order.status == Order.Status.CANCELLED


def _is_held(attempt: PaymentAttempt) -> bool:
    """Whether the bank said that it holds money of an order that is to be shipped; it may have let go since."""
    return attempt.state == State.AUTHORIZED and attempt.order.status == Order.Status.PAID


def forgotten() -> list[PaymentAttempt]:
    """Open attempts of more than a minute that no delivery is going to ask the gateway about."""
    minute_ago = timezone.now() - timedelta(minutes=1)
    asking = Delivery.objects.open(Delivery.State.READY, Delivery.State.RUNNING).filter(handler__in=ASKERS)
    subjects = set(asking.values_list("event__subject", flat=True))
    held = PaymentAttempt.objects.filter(state=State.AUTHORIZED, order__status=Order.Status.CANCELLED)
    open_ones = (PaymentAttempt.objects.open() | held).filter(started_at__lt=minute_ago).select_related("order")
    return [attempt for attempt in open_ones if subject_of(attempt.order) not in subjects]


def _truth(attempt: PaymentAttempt) -> Outcome:
    charge = charge_of(attempt)
    if _to_be_let_go(attempt) or attempt.order.cancel_wanted_at is not None or attempt.code == OTHER_AMOUNT:
        return stripe.cancel(charge, gateway_id=attempt.gateway_id)
    outcome = stripe.find(charge, gateway_id=attempt.gateway_id)
    _listen(outcome)
    if attempt.state == State.AUTHORIZED:  # nobody charges anew what was held: it is there, or the order is undone
        return stripe.cancel(charge, gateway_id=attempt.gateway_id) if outcome.status in NOT_HELD else outcome
    if _waited_for_long_enough(attempt, outcome):
        return stripe.cancel(charge, gateway_id=attempt.gateway_id)
    if outcome.status is Status.NOT_CHARGED:
        return stripe.charge(charge)
    return outcome


def _waited_for_long_enough(attempt: PaymentAttempt, outcome: Outcome) -> bool:
    if outcome.code == NEVER_OPENED:
        return True
    patience = {Status.NOT_CHARGED: PATIENCE, Status.REQUIRES_ACTION: TIME_TO_APPROVE}.get(outcome.status)
    return patience is not None and _age(attempt) > patience


def _age(attempt: PaymentAttempt) -> timedelta:
    return timezone.now() - attempt.started_at


def _next_question(attempt: PaymentAttempt) -> float:
    """A second or two while the buyer waits, then a quarter of the attempt's age: a minute in the end."""
    longest = WHILE_WAITED_FOR if _age(attempt) < PATIENCE else LONGEST_WAIT
    return min(max(_age(attempt).total_seconds() / 4, 1.0), longest)
