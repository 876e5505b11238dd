"""The map of the pipeline: every declared event, who handles it, and what those publish in turn.

Events and handlers are those that this process has loaded. What a handler publishes is known from two sources, and each
edge says from which: `in_source`, from reading the handler's code (`sources`), and `recorded`, from the latest events
that name it as their actor. Neither is complete: code has ways that are never gone, and history forgets no way but may
not have gone it yet.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Max

from notifications.pipeline.deadletters import DeliveryBuried
from notifications.pipeline.events import DomainEvent, Subscription, declared, subscription_of, subscriptions
from notifications.pipeline.map.sources import made_in
from notifications.pipeline.models import Delivery, Event

READ: Final = 20_000  # events, the latest: enough to have seen what happens daily, few enough to be read for a page
BROAD: Final = 6  # who hears of more kinds than this is not drawn beside each of them


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One kind of event that a handler publishes. recorded: how many of the latest events."""

    event: str
    in_source: bool
    recorded: int


@dataclass(frozen=True, kw_only=True)
class MappedHandler:
    """atomic: its rows and its completion are one transaction. after, limit: seconds. publishes: the seen first."""

    handler: str
    events: tuple[str, ...]
    queue: str
    atomic: bool
    ordered: bool
    latest_only: bool
    after: float
    tries: int
    limit: float
    publishes: tuple[Publication, ...]

    @property
    def is_broad(self) -> bool:
        return len(self.events) > BROAD


@dataclass(frozen=True, kw_only=True)
class MappedEvent:
    """app: who declares it. publishers: the handlers that publish it; with none, requests, commands or the clock do."""

    name: str
    version: int
    app: str
    public: bool
    meaning: str
    handlers: tuple[str, ...]
    publishers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Stranded:
    """Deliveries that wait for what this release does not know."""

    handler: str
    event: str
    version: int
    count: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Map:
    """read: how many of the latest events `recorded` was counted in. unhandled: nobody listens to these."""

    events: tuple[MappedEvent, ...]
    handlers: dict[str, MappedHandler]
    unhandled: tuple[str, ...]
    stranded: tuple[Stranded, ...]
    read: int

    def narrow(self, event: MappedEvent) -> list[MappedHandler]:
        """Who listens to this event in particular."""
        return [self.handlers[name] for name in event.handlers if not self.handlers[name].is_broad]

    def broad(self) -> list[MappedHandler]:
        return [one for one in self.handlers.values() if one.is_broad]

    def apps(self) -> dict[str, list[MappedEvent]]:
        """The events by who declares them; the shop first, time and the pipeline itself last."""
        found: defaultdict[str, list[MappedEvent]] = defaultdict(list)
        for event in self.events:
            found[event.app].append(event)
        return {app: found[app] for app in sorted(found, key=lambda app: (app == "notifications", app != "orders"))}


def pipeline_map() -> Map:
    """As this process and the latest history know it. Three queries."""
    newest = Event.objects.aggregate(newest=Max("pk"))["newest"] or 0
    recorded = _recorded(newest - READ)
    handlers = {one.handler: _handler(one, recorded[one.handler]) for one in subscriptions.values()}
    events = tuple(_event(kind, handlers.values()) for kind in declared.values())
    return Map(
        events=events,
        handlers=handlers,
        unhandled=tuple(event.name for event in events if not event.handlers),
        stranded=tuple(_stranded()),
        read=min(newest, READ),
    )


def _recorded(older_than: int) -> defaultdict[str, Counter[str]]:
    """How many events of each name each handler has published since, under its name of today.

    That it has died is published in its name, too: by the pipeline, and of any handler.
    """
    caused = Event.objects.filter(pk__gt=older_than, causation__isnull=False).exclude(name=DeliveryBuried.name)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for actor, name, count in caused.values_list("actor", "name").annotate(count=Count("pk")).order_by():
        if subscription := subscription_of(actor):
            counts[subscription.handler][name] += count
    return counts


def _handler(one: Subscription, recorded: Counter[str]) -> MappedHandler:
    read = made_in(one.function)
    return MappedHandler(
        handler=one.handler,
        events=tuple(event.name for event in one.events),
        queue=one.queue,
        atomic=one.atomic,
        ordered=one.ordered,
        latest_only=one.latest_only,
        after=one.after.total_seconds(),
        tries=one.retry.attempts,
        limit=one.limit.total_seconds(),
        publishes=tuple(
            Publication(event=name, in_source=name in read, recorded=recorded[name])
            for name in sorted(read | recorded.keys(), key=lambda name: (name not in recorded, name))
        ),
    )


def _event(kind: type[DomainEvent], handlers: Iterable[MappedHandler]) -> MappedEvent:
    known = list(handlers)
    return MappedEvent(
        name=kind.name,
        version=kind.version,
        app=kind.__module__.partition(".")[0],
        public=kind.public,
        meaning=" ".join((kind.__doc__ or "").split()),
        handlers=tuple(one.handler for one in known if kind.name in one.events),
        publishers=tuple(one.handler for one in known if kind.name in (made.event for made in one.publishes)),
    )


def _stranded() -> Iterable[Stranded]:
    waiting = Delivery.objects.filter(state__in=["waiting", "ready", "running"])
    kinds = waiting.values_list("handler", "event__name", "event__version").annotate(count=Count("pk")).order_by()
    for handler, event, version, count in kinds:
        if reason := _unknown(handler, event, version):
            yield Stranded(handler=handler, event=event, version=version, count=count, reason=reason)


def _unknown(handler: str, event: str, version: int) -> str:
    """Why this release cannot run it; empty when it can."""
    if subscription_of(handler) is None:
        return f"no handler is named {handler}"
    if event not in declared:
        return f"no event is named {event}"
    if version > declared[event].version:
        return f"{event} is version {version}; this release knows {declared[event].version}"
    return ""
