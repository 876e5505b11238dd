"""What happens after the commit: a worker runs one delivery, a relay runs all that is due."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils import timezone

from notifications.pipeline import clock, rescue
from notifications.pipeline.executor import Executor
from notifications.pipeline.models import Delivery, Worker
from orders.models import Order
from tests.crash import actors, points
from tests.crash.buyer import a_placed_order
from tests.crash.flow import Facts, Flow, Say


def run_one(facts: Facts, *, say: Say) -> None:
    """A worker process, from its birth to the end of one delivery."""
    _run(facts["delivery"])
    say({"status": 200, "body": None, "again": False})


def _run(delivery: int) -> None:
    executor = Executor(kind=Worker.Kind.WORKER, alone=True)
    executor.attempt(delivery)
    executor.stop(grace=0)


def carry_on(facts: Facts, *, say: Say) -> None:
    """Another worker: what the dead one left is freed, and this delivery is run."""
    executor = Executor(kind=Worker.Kind.WORKER, alone=True)
    rescue.rescue_abandoned(but=executor.worker)
    executor.attempt(facts["delivery"])
    executor.stop(grace=0)
    say({"status": 200, "body": None, "again": False})


def relay_round(moved: float, *, say: Say | None = None) -> None:
    """One round of a relay that runs everything itself: time, the dead, and what is due until nothing is.

    `moved`: how many seconds have passed for the rows, and so for the clock whose minutes it announces.
    """
    executor = Executor(kind=Worker.Kind.RELAY, alone=True)  # one after another
    clock.tick(timezone.now() + timedelta(seconds=moved))
    rescue.rescue_abandoned(but=executor.worker)
    while due := list(Delivery.objects.due(timezone.now()).values_list("pk", "handler")):
        for pk, handler in due:
            if actors.watched:
                actors.watched.continue_as(handler, points.delivery)
            executor.attempt(pk)
    executor.stop(grace=0)


# -- one delivery -------------------------------------------------------------------------------


def a_confirmation(tag: str) -> Facts:
    """Paid, and the letter that says so is to be written."""
    return _with_delivery(a_placed_order(tag), "orders.email_confirmation")


def a_letter(tag: str) -> Facts:
    """The confirmation is written, and to be posted."""
    facts = a_confirmation(tag)
    _run(facts["delivery"])
    return _with_delivery(facts, "notifications.send_letter")


def a_question(tag: str) -> Facts:
    """The bank has charged and said nothing, and is to be asked."""
    return _with_delivery(a_placed_order(tag, "pm_bank_error_after_charge"), "orders.ask_gateway")


def _with_delivery(facts: Facts, handler: str) -> Facts:
    order = Order.objects.get(number=facts["number"])
    row = Delivery.objects.filter(handler=handler, event__subject=f"order:{order.pk}").latest("pk")
    Delivery.objects.filter(pk=row.pk).update(available_at=timezone.now())
    return {**facts, "verb": "delivery", "delivery": row.pk}


def done_in_the_end(facts: Facts, _: list[Any]) -> Iterator[str]:
    row = Delivery.objects.get(pk=facts["delivery"])
    if row.state != Delivery.State.DONE:
        yield f"{row} is {row.state}: {row.last_error}"


def _flow(name, prepare, least):
    return Flow(
        name=name,
        prepare=prepare,
        act=run_one,
        point=points.delivery,
        wrong=done_in_the_end,
        least=least,
        by_relay=True,
    )


FLOWS = (_flow("confirmation", a_confirmation, 14), _flow("letter", a_letter, 26), _flow("question", a_question, 25))
