"""Calls to the outside world, once for each delivery, and honest where nobody can know.

def tell_carrier(event: OrderShipped) -> None:
    label = once("label", lambda key: carrier.buy_label(order=event.order_id, idempotency_key=key))

What was done is not done again when the handler runs a second time. A worker that died in the middle of a call leaves
a question. Where the other side knows the key, asking again is safe (`repeatable`); else the delivery is buried with
the word that it may have happened, and a person's "retry" is the decision to do it again.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn

from django.db import connection, transaction

from notifications.pipeline.models import Delivery, Effect
from notifications.pipeline.retries import Permanent, RetryLater

current: ContextVar[Delivery | None] = ContextVar("delivery that is being run", default=None)
State = Effect.State


class MayHaveHappened(Permanent):
    """A call was begun and its end is not known: only a person can tell, or decide."""


def this_delivery() -> Delivery:
    """The one whose handler asks. Raises RuntimeError outside of handlers."""
    delivery = current.get()
    if delivery is None:
        raise RuntimeError("this is for handlers: no delivery is being run")
    return delivery


def once(step: str, call: Callable[[str], Any], *, repeatable: bool = True) -> Any:
    """What `call(key)` returned, now or in an earlier run of this delivery. The result must be JSON.

    step: which call of the handler it is. repeatable: the other side takes a second call with the same key for the
    first. `call` raises RetryLater or Permanent for what surely did not happen; any other error leaves it open.
    Outside a transaction only, so for handlers with atomic=False. Raises MayHaveHappened.
    """
    delivery = this_delivery()
    if connection.in_atomic_block:
        raise RuntimeError("once() inside a transaction: subscribe the handler with atomic=False")
    key = f"{delivery.uid}:{step}"
    effect, _ = Effect.objects.get_or_create(key=key, defaults={"delivery": delivery, "state": State.PLANNED})
    if effect.state == State.DONE:
        return effect.result
    if effect.state == State.STARTED and not repeatable:
        _leave_open(effect, step)
    return _called(effect, step, call, repeatable=repeatable)


def _called(effect: Effect, step: str, call: Callable[[str], Any], *, repeatable: bool) -> Any:
    _write(effect, State.STARTED)
    try:
        result = call(effect.key)
    except (RetryLater, Permanent):
        _write(effect, State.PLANNED)
        raise
    except Exception as error:
        if repeatable:
            raise
        _leave_open(effect, step, error)
    _write(effect, State.DONE, result=result)
    return result


def _leave_open(effect: Effect, step: str, error: Exception | None = None) -> NoReturn:
    _write(effect, State.UNKNOWN)
    why = f": {type(error).__qualname__}: {error}" if error else ": its worker died meanwhile"
    raise MayHaveHappened(f"“{step}” may have happened{why}. Find out; retry does it again.") from error


def _write(effect: Effect, state: Effect.State, **facts: Any) -> None:
    with transaction.atomic(durable=True):
        Effect.objects.filter(pk=effect.pk).update(state=state, **facts)
