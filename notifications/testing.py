"""For tests of handlers: a pytest plugin. Say `pytest_plugins = ["notifications.testing"]` in a conftest.py.

No relay, no worker, no broker and no waiting: deliveries run in the test's own process, when the test says so, and
through the same code that runs them in the shop. Which of them die, and in which order they run, follows from a seed.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from notifications.pipeline import brakes, delivery, events
from notifications.pipeline.events import DomainEvent
from notifications.pipeline.models import Brake, Delivery, Event, Worker

E = TypeVar("E", bound=DomainEvent)


class FailedOnPurpose(Exception):
    """What a handler raises that a test wants to fail."""


class _Killed(BaseException):
    """The worker is gone, with the handler's work done and nobody told. No handler catches this."""


class DeliverDue(Protocol):
    """Run what is due, and what that makes due, until nothing is. Returns how many tries that took.

    Later tries stay for later: see `pass_time`. seed: run them in an order of its own, not the oldest first. fail: the
    next so many tries of these handlers raise FailedOnPurpose, such as {"orders.email_confirmation": 2}, whichever
    call of `deliver_due` they fall into. die: the chance that a worker dies when the handler has done its work and
    nobody knows yet, so that it runs again; once for each.
    """

    def __call__(self, *, seed: int | None = None, fail: Mapping[str, int] | None = None, die: float = 0.0) -> int: ...


class Published:
    """The facts of this test, in the order of their publication."""

    def published(self, kind: type[E], **fields: Any) -> list[E]:
        """Those of this kind whose fields have these values."""
        found = [kind.from_payload(row.payload, row.version) for row in Event.objects.filter(name=kind.name)]
        return [event for event in found if all(getattr(event, name) == value for name, value in fields.items())]


@pytest.fixture(name="events")
def _events(transactional_db: None) -> Published:
    """`events.published(PaymentReceived, order_id=7)`: the facts of this test."""
    return Published()


@pytest.fixture
def deliver_due(transactional_db: None) -> DeliverDue:
    """`deliver_due()` runs what is due, as workers would: see DeliverDue."""

    mishaps = _Mishaps()

    def run(*, seed: int | None = None, fail: Mapping[str, int] | None = None, die: float = 0.0) -> int:
        dice, tried = random.Random(seed or 0), 0
        mishaps.plan(fail or {})
        while due := list(Delivery.objects.due(timezone.now()).values_list("pk", "handler")):
            if seed is not None:
                dice.shuffle(due)
            for pk, handler in due:
                tried += _try(pk, handler, mishaps, dies=dice.random() < die)
        return tried

    return run


@pytest.fixture
def pass_time(transactional_db: None) -> Callable[..., None]:
    """`pass_time(minutes=5)`: what was put off, and handlers that rest, are so much nearer to their time."""

    def move(**duration: float) -> None:
        passed = timedelta(**duration)
        Delivery.objects.filter(state=Delivery.State.READY).update(available_at=F("available_at") - passed)
        Brake.objects.exclude(resting_until=None).update(resting_until=F("resting_until") - passed)

    return move


@pytest.fixture
def run_handler(transactional_db: None) -> Callable[..., Delivery]:
    """`run_handler(email_confirmation, PaymentReceived(order_id=7))`: this handler alone, once. Returns its delivery.

    `about` is the row, or its "order:7", that the event belongs to. `state` and `last_error` say how it went. Neither
    `when` nor the order of its line is asked. Raises AssertionError when the handler is paused or rests.
    """

    def run(handler: Callable[[E], None], event: E, about: Any = "") -> Delivery:
        [subscription] = [found for found in events.subscriptions.values() if found.function is handler]
        with transaction.atomic():
            record = events.publish(event, about=about)
            Delivery.objects.filter(event=record).delete()
            row = subscription.row(record)
            row.available_at = timezone.now()
            row.save()
        ran = delivery.attempt(delivery_id=row.pk, worker=_worker())
        assert ran, f"{subscription.handler} is held back"
        return Delivery.objects.select_related("event").get(pk=row.pk)

    return run


class _Mishaps:
    """What goes wrong on purpose, and has not yet."""

    def __init__(self) -> None:
        self.fail, self.dead = Counter[str](), set[int]()

    def plan(self, fail: Mapping[str, int]) -> None:
        for handler, count in fail.items():
            found = events.subscription_of(handler)
            assert found is not None, f"there is no handler {handler}"
            self.fail[found.handler] += count

    def fails(self, handler: str) -> bool:
        self.fail[handler] -= 1
        return self.fail[handler] >= 0


def _try(pk: int, handler: str, mishaps: _Mishaps, *, dies: bool) -> bool:
    try:
        with _spoilt(handler, mishaps, dies=dies and pk not in mishaps.dead):
            return delivery.attempt(delivery_id=pk, worker=_worker(), alone=True)
    except _Killed:
        mishaps.dead.add(pk)
        # What the rescue does when it finds the worker dead.
        freed = {"state": Delivery.State.READY, "worker": None, "available_at": timezone.now()}
        Delivery.objects.filter(pk=pk).update(**freed, token=F("token") + 1, crashes=F("crashes") + 1)
        brakes.wake(handler)  # it may have been the one that is tried while the others rest
        return True


@contextmanager
def _spoilt(handler: str, mishaps: _Mishaps, *, dies: bool) -> Iterator[None]:
    """While this lasts, the handler may fail before its work, or die after it."""
    whole = events.subscription_of(handler)
    if whole is None:
        yield
        return

    def spoilt(event: Any) -> None:
        if mishaps.fails(whole.handler):
            raise FailedOnPurpose(f"{handler} was told to fail")
        whole.function(event)
        if dies:
            raise _Killed

    events.subscriptions[whole.handler] = replace(whole, function=spoilt)
    try:
        yield
    finally:
        events.subscriptions[whole.handler] = whole


def _worker() -> Worker:
    here = {"kind": Worker.Kind.WORKER, "host": "test", "pid": os.getpid(), "lock_key": 1}
    return Worker.objects.filter(**here).first() or Worker.objects.create(**here)
