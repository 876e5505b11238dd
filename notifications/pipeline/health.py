"""Is anybody there? What the staff banner, `/readyz` and the workers page all ask."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from notifications.pipeline.models import Delivery, Worker, held_back, waits_its_turn

LATE = 60.0  # seconds a due delivery may wait before a person should know


@dataclass(frozen=True, kw_only=True)
class Health:
    """The pipeline at one moment. `warnings` are sentences for the person who runs the shop."""

    relay_alive: bool
    workers_alive: int
    workerless_seconds: float | None  # since the last one said anything; None where nobody waits for one, or ever did
    broker: str  # "ok" | "none" | "down" | "unknown"
    broker_error: str
    mode: str  # who runs the handlers: "celery" | "relay" | "nobody"
    waiting: int
    oldest_waiting_seconds: float  # but for queues that run only so many at once, and do
    held: int  # due, but of a queue that is paused, or a handler that is paused or rests
    dead: int

    @property
    def no_worker(self) -> str:
        """For how long: "No worker for 3 min"."""
        seconds = self.workerless_seconds
        return "No worker yet" if seconds is None else f"No worker for {seconds // 60:.0f} min"

    @property
    def warnings(self) -> list[str]:
        said = [
            (not self.relay_alive, f"No relay is running: {self.waiting} deliveries wait. Start `manage.py relay`."),
            (self.broker == "down", f"The broker does not answer ({self.broker_error}). The relay runs the handlers."),
            (
                self.broker == "ok" and not self.workers_alive,
                f"{self.no_worker}, {self.waiting} waiting. The relay runs the handlers. Start `manage.py worker`.",
            ),
            (self.broker == "none", "No broker is configured: the relay runs the handlers itself."),
            (
                self.oldest_waiting_seconds > LATE,
                f"The oldest of {self.waiting} due deliveries has waited {self.oldest_waiting_seconds:.0f} s.",
            ),
            (
                self.held > 0,
                f"{self.held} deliveries wait for what is held back: see Failures, and Workers for queues.",
            ),
        ]
        return [sentence for applies, sentence in said if applies]


def pipeline_health() -> Health:
    now = timezone.now()
    alive = list(Worker.objects.alive().order_by("-beat_at"))
    relays = [worker for worker in alive if worker.kind == Worker.Kind.RELAY]
    note = relays[0].note if relays else {}
    broker = _broker(note)
    ready, held = Q(state="ready", available_at__lte=now), held_back(now)
    counts = Delivery.objects.open("ready", "dead").aggregate(
        waiting=Count("pk", filter=ready & ~held),
        oldest=Min("available_at", filter=ready & ~held & ~waits_its_turn(now)),
        held=Count("pk", filter=ready & held),
        dead=Count("pk", filter=Q(state="dead")),
    )
    return Health(
        relay_alive=bool(relays),
        workers_alive=len(alive) - len(relays),
        workerless_seconds=_workerless(now) if broker == "ok" and len(alive) == len(relays) else None,
        broker=broker,
        broker_error=note.get("broker_error", ""),
        mode=note.get("mode", "nobody"),
        waiting=counts["waiting"],
        oldest_waiting_seconds=_age(counts["oldest"], now),
        held=counts["held"],
        dead=counts["dead"],
    )


def _workerless(now: datetime) -> float | None:
    last = Worker.objects.filter(kind=Worker.Kind.WORKER).aggregate(at=Max("beat_at"))["at"]
    return _age(last, now) if last else None


def _broker(note: dict[str, str]) -> str:
    if not settings.BROKER_URL:
        return "none"
    if not note:
        return "unknown"
    return "down" if note.get("broker_error") else "ok"


def _age(oldest: datetime | None, now: datetime) -> float:
    return (now - oldest).total_seconds() if oldest else 0.0
