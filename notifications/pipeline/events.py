"""The whole public API: declare a fact, publish it, subscribe to it.

class PaymentReceived(DomainEvent, name="payment.received"):
    "Fires when ..."
    order_id: int

@subscribe(PaymentReceived, queue="mail")
def email_confirmation(event: PaymentReceived) -> None: ...

with transaction.atomic(durable=True):
    ...
    publish(PaymentReceived(order_id=order.pk), about=order)
"""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import UnionType
from typing import Any, ClassVar, Self, TypeVar, Union, cast, dataclass_transform, get_args, get_origin, get_type_hints

from django.db import models, transaction
from django.utils import timezone

from notifications import correlation, tracing
from notifications.pipeline import doorbell, ordering
from notifications.pipeline.models import Delivery, Event, Priority
from notifications.pipeline.retries import USUAL, Retry
from notifications.pipeline.signals import published

PLAIN = (int, str, bool, type(None))


class BadPayload(TypeError):
    """An event was given a value its declaration does not allow; the message names the field."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class DomainEvent:
    """A fact, in the past tense. Fields are ids and plain values: int, str, bool, None, tuples of them."""

    name: ClassVar[str]
    version: ClassVar[int]
    public: ClassVar[bool]
    personal: ClassVar[tuple[str, ...]]
    _shape: ClassVar[dict[str, tuple[type, ...]]]
    _elements: ClassVar[dict[str, type]]
    _required: ClassVar[tuple[str, ...]]

    def __init_subclass__(
        cls, *, name: str, version: int = 1, public: bool = False, personal: tuple[str, ...] = ()
    ) -> None:
        """public: webhook endpoints may listen to it; its name and meaning then stay as they are.

        personal: fields that hold somebody's own words. They are blanked when the person is erased.
        """
        if name in declared:
            raise TypeError(f"the event {name} is declared twice: {declared[name]} and {cls}")
        cls.name, cls.version, cls.public, cls.personal = name, version, public, personal
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        hints = get_type_hints(cls)
        cls._shape = {field.name: _allowed(cls, field.name, hints[field.name]) for field in _fields(cls)}
        cls._elements = {field.name: _element(hints[field.name]) for field in _fields(cls)}
        cls._required = tuple(field.name for field in _fields(cls) if field.default is dataclasses.MISSING)
        declared[name] = cls

    def __post_init__(self) -> None:
        for field, allowed in self._shape.items():
            # type(), not isinstance: True is an int to Python, and a wrong value to a reader.
            if type(getattr(self, field)) not in allowed:
                names = " or ".join(kind.__name__ for kind in allowed)
                raise BadPayload(f"{self.name}: {field} must be {names}, not {getattr(self, field)!r}")
            if type(getattr(self, field)) is tuple:
                self._check_elements(field, self._elements[field])

    def _check_elements(self, field: str, wanted: type) -> None:
        for element in getattr(self, field):
            if type(element) is not wanted:
                raise BadPayload(f"{self.name}: {field} must hold {wanted.__name__} only, not {element!r}")

    def payload(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in self._shape}

    @classmethod
    def upcast(cls, payload: dict[str, Any], version: int) -> dict[str, Any]:  # noqa: ARG003  for subclasses
        """What a payload of an older `version` would be today. A class whose version grew says it here."""
        return payload

    @classmethod
    def from_payload(cls, payload: dict[str, Any], version: int | None = None) -> Self:
        """The event as it was published, in today's shape. Raises BadPayload when it cannot be read."""
        if version is not None and version < cls.version:
            payload = cls.upcast(dict(payload), version)
        if unknown := sorted(payload.keys() - cls._shape.keys()):
            raise BadPayload(f"{cls.name} has no field {', '.join(unknown)}")
        if missing := [name for name in cls._required if name not in payload]:
            raise BadPayload(f"{cls.name} lacks {', '.join(missing)}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in payload.items()})


declared: dict[str, type[DomainEvent]] = {}


def _element(annotation: Any) -> type:
    """Of what a tuple field is a tuple; of no meaning for other fields."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    [element] = [get_args(option)[0] for option in options if get_origin(option) is tuple] or [str]
    if element not in PLAIN:
        raise TypeError(f"a tuple of an event holds int, str or bool only, not {element}")
    return cast(type, element)


def _fields(cls: type[DomainEvent]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cast(Any, cls))


def _allowed(cls: type, field: str, annotation: Any) -> tuple[type, ...]:
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    kinds = tuple(get_origin(option) or option for option in options)
    if not all(kind in (*PLAIN, tuple) for kind in kinds):
        raise TypeError(f"{cls.__name__}.{field} must be int, str, bool, None or a tuple of them, not {annotation}")
    return kinds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subscription:
    """A handler and how it wants to be run."""

    handler: str
    events: tuple[type[DomainEvent], ...]
    function: Callable[[Any], None]
    queue: str
    priority: Priority | Callable[[Any], Priority]
    after: timedelta
    atomic: bool
    ordered: bool
    latest_only: bool
    retry: Retry
    limit: timedelta
    when: Callable[[Any], bool] | None

    def delivery(self, sender: object, *, event: DomainEvent, record: Event, **_: object) -> Delivery | None:  # noqa: ARG002
        """Receives `published`: the row to insert, or None when `when` says no."""
        return None if self.when is not None and not self.when(event) else self.row(record, event)

    def row(self, record: Event, event: DomainEvent | None = None) -> Delivery:
        """The delivery of this event, not saved yet; of one that nobody can read, with the usual priority."""
        return Delivery(
            event=record,
            handler=self.handler,
            queue=self.queue,
            priority=self._priority(event),
            max_attempts=self.retry.attempts,
            order_key=record.subject if self.ordered or self.latest_only else None,
            available_at=timezone.now() + self.after,
        )

    def _priority(self, event: DomainEvent | None) -> Priority:
        if isinstance(self.priority, Priority):
            return self.priority
        return Priority.USUAL if event is None else self.priority(event)


subscriptions: dict[str, Subscription] = {}
aliases: dict[str, str] = {}  # what handlers were called once


def subscription_of(handler: str) -> Subscription | None:
    """Who runs the deliveries of this handler, by its name of today or an earlier one."""
    return subscriptions.get(handler) or subscriptions.get(aliases.get(handler, ""))


E_contra = TypeVar("E_contra", bound=DomainEvent, contravariant=True)
Handler = Callable[[E_contra], None]


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def subscribe(
    *events: type[E_contra],
    queue: str = "default",
    priority: Priority | Callable[[E_contra], Priority] = Priority.USUAL,
    after: timedelta = timedelta(0),
    atomic: bool = True,
    ordered: bool = False,
    latest_only: bool = False,
    retry: Retry = USUAL,
    limit: timedelta = timedelta(minutes=5),
    was: Sequence[str] = (),
    when: Callable[[E_contra], bool] | None = None,
) -> Callable[[Handler[E_contra]], Handler[E_contra]]:
    """Run the decorated function once for each committed event of these kinds, after the commit.

    queue: which kind of worker runs it. priority: where many wait, FIRST is for money and LAST for what comes in
    thousands; a function is asked at publication. after: not before this long after the publication.
    atomic: body and completion share one transaction, so its database effects happen exactly once;
    say False for a handler that calls the outside world. ordered: one subject's events one at a time,
    in order; a dead letter holds up those behind it. latest_only: what a later event of the same subject
    has overtaken is skipped. retry: how often it is tried, and after which pauses. limit: who runs
    longer is given up for hung, and what it does after that does not count. was: its earlier names, under
    which deliveries may still wait. when: asked at publication; False means this handler has nothing to
    do with the event.
    """

    def register(function: Handler[E_contra]) -> Handler[E_contra]:
        handler = f"{function.__module__.split('.')[0]}.{function.__name__}"
        if handler in subscriptions:
            raise TypeError(f"two handlers are named {handler}")
        subscription = Subscription(
            handler=handler,
            events=events,
            function=function,
            queue=queue,
            priority=priority,
            after=after,
            atomic=atomic,
            ordered=ordered,
            latest_only=latest_only,
            retry=retry,
            limit=limit,
            when=when,
        )
        subscriptions[handler] = subscription
        aliases.update(dict.fromkeys(was, handler))
        for event in events:
            published.connect(subscription.delivery, sender=event, weak=False, dispatch_uid=handler)
        return function

    return register


class OutsideTransaction(RuntimeError):
    """`publish` was called outside `transaction.atomic`: the event could outlive a failure, or be lost."""


def publish(event: DomainEvent, *, about: models.Model | str = "", dedupe_key: str | None = None) -> Event:
    """Commit `event` with the change that caused it: two INSERTs, however many handlers.

    about: the row (or its "order:17") the event belongs to. dedupe_key: a second event with the key is
    refused with IntegrityError. Raises OutsideTransaction when no transaction is open.
    """
    [record] = _write([event], about, dedupe_key)
    return record


def publish_all(*events: DomainEvent, about: models.Model | str) -> None:
    """Several facts about one row at once: two INSERTs, however many they are."""
    _write(events, about, None)


def _write(events: Sequence[DomainEvent], about: models.Model | str, dedupe_key: str | None) -> Sequence[Event]:
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction(f"publish({events[0].name}) needs an open transaction")
    records = Event.objects.bulk_create(_record(event, about, dedupe_key) for event in events)
    answers: list[tuple[Any, Any]] = []
    for event, record in zip(events, records, strict=True):
        answers += published.send(sender=type(event), event=event, record=record)
    deliveries = [answer for _, answer in answers if isinstance(answer, Delivery)]
    ordering.line_up(row for row in deliveries if subscriptions[row.handler].ordered)
    Delivery.objects.bulk_create(deliveries)
    doorbell.ring_after_commit()
    return records


def _record(event: DomainEvent, about: models.Model | str, dedupe_key: str | None) -> Event:
    return Event(
        name=event.name,
        version=event.version,
        subject=about if isinstance(about, str) else subject_of(about),
        payload=event.payload(),
        correlation_id=correlation.correlation_id(),
        traceparent=tracing.traceparent(),
        causation_id=correlation.cause(),
        actor=correlation.actor(),
        dedupe_key=dedupe_key,
    )


def subject_of(row: models.Model) -> str:
    """How events name this row: `order:17`."""
    return f"{row._meta.model_name}:{row.pk}"
