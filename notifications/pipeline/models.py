"""The rows that remember: a fact, who must act on it, each failed try, and who is alive."""

import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

# A process beats every 2 s; five missed beats and we stop counting on it.
ALIVE_WITHIN = timedelta(seconds=10)
# A queue with a limit in which nothing has run or ended for so long does not move.
MOVES_WITHIN = timedelta(minutes=1)


class EventQuerySet(models.QuerySet["Event"]):
    def correlated(self, correlation_id: str) -> Self:
        return self.filter(correlation_id=correlation_id)


class Event(models.Model):
    """A fact that was committed. Append-only: this table is also the audit trail."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100)
    version = models.PositiveSmallIntegerField(default=1)
    subject = models.CharField(max_length=100, blank=True, help_text="What it is about, as “order:17”.")
    payload = models.JSONField()
    correlation_id = models.CharField(max_length=64, db_index=True)
    traceparent = models.CharField(max_length=55, blank=True, help_text="Its publisher's span, where spans are sent.")
    causation = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="effects")
    actor = models.CharField(max_length=100)
    dedupe_key = models.CharField(max_length=200, null=True, unique=True)
    occurred_at = models.DateTimeField(default=timezone.now)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["subject", "id"], name="event_subject"),
            models.Index(fields=["name", "id"], name="event_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.subject}".strip()


class WorkerQuerySet(models.QuerySet["Worker"]):
    def unstopped(self) -> Self:
        return self.filter(stopped_at=None)

    def alive(self) -> Self:
        return self.unstopped().filter(beat_at__gt=timezone.now() - ALIVE_WITHIN)


class Worker(models.Model):
    """A process that runs handlers. It holds an OS lock that its death frees."""

    class Kind(models.TextChoices):
        WORKER = "worker"
        RELAY = "relay"

    kind = models.CharField(max_length=10, choices=Kind)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    lock_key = models.PositiveIntegerField()
    queues = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    beat_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True)
    note = models.JSONField(default=dict, help_text="What it last said of itself: mode, broker, error.")

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["kind", "beat_at"], name="worker_alive", condition=Q(stopped_at=None))]

    def __str__(self) -> str:
        return f"{self.kind} {self.host}:{self.pid}"

    @property
    def is_alive(self) -> bool:
        return self.stopped_at is None and self.beat_at > timezone.now() - ALIVE_WITHIN


class Queue(models.Model):
    """What a person has said of a queue: pause it, or run so many of its deliveries at once. Without a row it runs."""

    name = models.CharField(max_length=50, unique=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    at_once = models.PositiveIntegerField(null=True, help_text="How many may run, on all machines together.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="queue_paused_by_someone",
                condition=Q(paused_at=None, paused_by="") | (Q(paused_at__isnull=False) & ~Q(paused_by="")),
            ),
            models.CheckConstraint(name="queue_runs_something", condition=Q(at_once=None) | Q(at_once__gte=1)),
        ]

    def __str__(self) -> str:
        return self.name


class BrakeQuerySet(models.QuerySet["Brake"]):
    def holding(self, now: datetime) -> Self:
        return self.filter(Q(paused_at__isnull=False) | Q(resting_until__gt=now))


class Brake(models.Model):
    """What holds a handler back: a person has paused it, or it rests because it fails in the same way all the time.

    A handler without a row runs. Once `resting_until` has passed, one delivery is tried; the others wait for its end.
    """

    handler = models.CharField(max_length=150, unique=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    fails = models.PositiveIntegerField(default=0, help_text="Deliveries that failed alike, one after another.")
    fingerprint = models.CharField(max_length=16, blank=True)
    last_delivery = models.PositiveBigIntegerField(default=0, help_text="Which of them failed last.")
    last_error = models.TextField(blank=True)
    resting_until = models.DateTimeField(null=True)

    objects = BrakeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="brake_paused_by_someone",
                condition=Q(paused_at=None, paused_by="") | (Q(paused_at__isnull=False) & ~Q(paused_by="")),
            )
        ]

    def __str__(self) -> str:
        return self.handler


def held_back(now: datetime) -> Q:
    """Of a queue or a handler that somebody has paused, or of a handler that rests."""
    paused = Queue.objects.filter(paused_at__isnull=False).values("name")
    return Q(queue__in=paused) | Q(handler__in=Brake.objects.holding(now).values("handler"))


def waits_its_turn(now: datetime) -> Q:
    """Of a queue that may run only so many at once, and does: its deliveries may wait for long."""
    mine = Delivery.objects.filter(queue=OuterRef("name"))
    lately = mine.filter(state="done", finished_at__gt=now - MOVES_WITHIN)
    moving = Exists(mine.filter(state="running")) | Exists(lately)
    return Q(queue__in=Queue.objects.filter(moving, at_once__isnull=False).values("name"))


class _Written(models.Value):
    """A state in the statement itself: of a value beside it SQLite cannot tell which partial index has it."""

    def as_sql(self, compiler: object, connection: object) -> tuple[str, tuple[str | int, ...]]:  # noqa: ARG002
        return f"'{self.value}'", ()


IN_LINE = ("waiting", "ready", "running", "dead")


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> Self:
        """READY, its time has come, and neither its queue nor its handler is held back.

        By priority, then the longest waiting first.
        """
        ready = Q(state=Delivery.State.READY, available_at__lte=now)
        return self.filter(ready & ~held_back(now)).order_by("priority", "available_at", "id")

    def open(self, *states: str) -> Self:
        """In one of these states, which all have a partial index: not to be told from the whole history in one question
        about several states, so each is asked about alone.
        """
        alone = [Delivery.objects.filter(_is(state)).values("pk") for state in states]
        return self.filter(pk__in=alone[0].union(*alone[1:], all=True))

    def running(self) -> Self:
        return self.filter(state=Delivery.State.RUNNING)

    def dead(self) -> Self:
        return self.filter(state=Delivery.State.DEAD)

    def about(self, subject: str) -> Self:
        return self.filter(event__subject=subject)

    def in_line(self, handler: object, order_key: object) -> Self:
        """Those of one handler about one subject that have not come to their end."""
        return self.filter(_in_line(), handler=handler, order_key=order_key)


def _in_line() -> Q:
    return Q(order_key__isnull=False, state__in=[_Written(state) for state in IN_LINE])


def _is(state: str) -> Q:
    """Whoever waits, waits in a line, and the lines have an index."""
    return Q(state=state) & _in_line() if state == Delivery.State.WAITING else Q(state=state)


class Priority(models.IntegerChoices):
    """Who comes first where many wait. A closed set: each is asked about by itself, on its part of one index."""

    FIRST = 0  # money: rare, and somebody looks at a page until it is settled
    USUAL = 1
    LAST = 2  # what comes in thousands, and may take its time


class Delivery(models.Model):
    """One event for one handler: the unit of work, and the proof that it was done."""

    class State(models.TextChoices):
        WAITING = "waiting"
        READY = "ready"
        RUNNING = "running"
        DONE = "done"
        DEAD = "dead"
        CANCELLED = "cancelled"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="deliveries")
    handler = models.CharField(max_length=150)
    queue = models.CharField(max_length=50, default="default")
    # The database knows the usual one too: a release that has not heard of priorities may publish meanwhile.
    priority = models.PositiveSmallIntegerField(
        choices=Priority, default=Priority.USUAL, db_default=Priority.USUAL.value
    )
    order_key = models.CharField(max_length=100, null=True, help_text="The subject, where its order matters.")
    state = models.CharField(max_length=10, choices=State, default=State.READY)
    available_at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=10)
    crashes = models.PositiveIntegerField(default=0)
    token = models.PositiveIntegerField(default=0, help_text="The fence: grows whenever the row changes hands.")
    worker = models.ForeignKey(Worker, null=True, on_delete=models.PROTECT, related_name="deliveries")
    lease_until = models.DateTimeField(null=True)
    hinted_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=16, blank=True, help_text="The same for all that died of the same.")
    resolution = models.JSONField(null=True, help_text="What a person decided, who and when.")
    corrected = models.JSONField(null=True, help_text="What its handler reads in place of the event's payload.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event", "handler"], name="delivery_once_per_handler"),
            models.CheckConstraint(
                name="delivery_state_known",
                condition=Q(state__in=["waiting", "ready", "running", "done", "dead", "cancelled"]),
            ),
            models.CheckConstraint(
                name="delivery_running_has_worker",
                condition=~Q(state="running") | Q(worker__isnull=False, lease_until__isnull=False),
            ),
            models.CheckConstraint(name="delivery_priority_known", condition=Q(priority__in=[0, 1, 2])),
            models.CheckConstraint(
                name="delivery_waits_in_a_line", condition=~Q(state="waiting") | Q(order_key__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["priority", "available_at", "id"], name="delivery_ready", condition=Q(state="ready")),
            models.Index(
                fields=["handler", "order_key", "id"], name="delivery_subject", condition=Q(order_key__isnull=False)
            ),
            models.Index(
                fields=["handler", "order_key", "id"],
                name="delivery_line",
                condition=Q(order_key__isnull=False, state__in=IN_LINE),
            ),
            models.Index(fields=["worker"], name="delivery_running", condition=Q(state="running")),
            # Not of some states: that a question about one of them is covered, SQLite would not see.
            models.Index(fields=["finished_at"], name="delivery_ended", condition=Q(finished_at__isnull=False)),
            models.Index(fields=["handler", "fingerprint"], name="delivery_dead", condition=Q(state="dead")),
        ]
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.handler} #{self.pk}"

    @property
    def reading(self) -> tuple[dict[str, Any], int]:
        """The payload that its handler reads, and the version of the event which that is written in."""
        if self.corrected is not None:
            return self.corrected["payload"], self.corrected["version"]
        return self.event.payload, self.event.version


class Attempt(models.Model):
    """One try that did not end well."""

    class Outcome(models.TextChoices):
        ERROR = "error"
        CRASHED = "crashed"
        FENCED = "fenced"
        STOPPED = "stopped"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    n = models.PositiveIntegerField()
    token = models.PositiveIntegerField()
    worker = models.ForeignKey(Worker, null=True, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=10, choices=Outcome)
    error_class = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["finished_at"], name="attempt_recent")]
        constraints = [
            # One claim, one end; a fenced zombie may add its own note to a token already closed.
            models.UniqueConstraint(
                fields=["delivery", "token"], name="attempt_once_per_claim", condition=~Q(outcome="fenced")
            )
        ]

    def __str__(self) -> str:
        return f"try {self.n} of delivery {self.delivery_id}: {self.outcome}"

    @property
    def duration_ms(self) -> int | None:
        return int((self.finished_at - self.started_at).total_seconds() * 1000) if self.started_at else None


class BulkDecision(models.Model):
    """What a person decided about many dead deliveries at once, and how far that is."""

    class Action(models.TextChoices):
        RETRY = "retry"
        DISCARD = "discard"
        UNDO = "undo"

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped"
        FAILED = "failed"

    action = models.CharField(max_length=10, choices=Action)
    undoes = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="undone_by", help_text="The discard it takes back."
    )
    handler = models.CharField(max_length=150, blank=True, help_text="Of this handler only.")
    fingerprint = models.CharField(max_length=16, blank=True, help_text="Of this kind of failure only.")
    up_to = models.PositiveBigIntegerField(help_text="The last delivery that was dead when it was decided.")
    reason = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    reached = models.PositiveBigIntegerField(default=0, help_text="The last delivery that was decided about.")
    canary_first = models.BooleanField(default=False)
    canary = models.ForeignKey(Delivery, null=True, on_delete=models.SET_NULL, related_name="+")
    canary_attempt = models.PositiveIntegerField(default=0, help_text="Its tries before it was tried again.")
    note = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="bulk_end_says_when",
                condition=Q(state="running", finished_at=None) | ~Q(state="running") & Q(finished_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.total} of {self.handler or 'all handlers'}"


class Effect(models.Model):
    """A call to the outside world that a delivery makes once. UNKNOWN: begun, and nobody knows how it ended."""

    class State(models.TextChoices):
        PLANNED = "planned"
        STARTED = "started"
        DONE = "done"
        UNKNOWN = "unknown"

    key = models.CharField(max_length=200, unique=True, help_text="The delivery's uid and the step; sent outside.")
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="effects")
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    result = models.JSONField(null=True)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.key}: {self.state}"

    @property
    def step(self) -> str:
        """Which call of its handler it is."""
        return self.key.partition(":")[2]
