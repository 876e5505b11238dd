"""The small marks of the staff pages: badges, times, tries."""

from datetime import datetime
from typing import Any, Final

from babel.dates import format_datetime, format_timedelta
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, to_locale

from notifications.mail.models import Letter
from notifications.pipeline.latency import Spread
from notifications.pipeline.models import BulkDecision, Delivery, Worker

NOTHING: Final = "—"

# Tones of badges: bad (a person must act), warn (it may mend itself), busy, good, calm.
_STATES: Final = {
    Delivery.State.DEAD: ("Dead", "bad"),
    Delivery.State.RUNNING: ("Running", "busy"),
    Delivery.State.DONE: ("Done", "good"),
    Delivery.State.CANCELLED: ("Discarded", "calm"),
    Delivery.State.WAITING: ("Waiting its turn", "calm"),
}


def badge(word: str, tone: str) -> SafeString:
    return format_html('<span class="wb-badge wb-{}">{}</span>', tone, word)


def state_badge(delivery: Delivery) -> SafeString:
    """The state in a word; READY says whether it is due, scheduled, or on its way back from a failure."""
    if delivery.state == Delivery.State.READY:
        return badge(*_ready(delivery))
    return badge(*_STATES[Delivery.State(delivery.state)])


def _ready(delivery: Delivery) -> tuple[str, str]:
    if delivery.last_error:
        return "Retrying", "warn"
    if delivery.available_at > timezone.now():
        return "Scheduled", "calm"
    return "Due", "busy"


def done_of(done: int, total: int, *, dead: bool) -> SafeString | str:
    """“3/4”: green when all are done, red when one is dead."""
    if not total:
        return NOTHING
    return badge(f"{done}/{total}", "bad" if dead else "good" if done == total else "busy")


def letter_badge(state: str) -> SafeString:
    words = {
        Letter.State.SENT: ("Sent", "good"),
        Letter.State.BOUNCED: ("Bounced", "bad"),
        Letter.State.WITHDRAWN: ("Withdrawn", "calm"),
    }
    return badge(*words.get(Letter.State(state), ("On its way", "busy")))


def job_badge(job: BulkDecision) -> SafeString:
    words = {"running": ("Running", "busy"), "done": ("Done", "good"), "stopped": ("Stopped", "warn")}
    return badge(*words.get(job.state, ("Failed", "bad")))


def worker_badge(worker: Worker) -> SafeString:
    """A process that says nothing for longer than a few beats is silent until rescue finds it dead."""
    if worker.is_alive:
        return badge("Alive", "good")
    return badge("Stopped", "calm") if worker.stopped_at else badge("Silent", "bad")


def note_in_words(note: dict[str, Any]) -> str:
    words = {"celery": "hands work to Celery", "relay": "runs the handlers itself"}
    said = [words.get(note.get("mode", ""), note.get("mode", "")), note.get("broker_error", "")]
    return "; ".join(filter(None, said)) or NOTHING


def tries(delivery: Delivery) -> str:
    return f"{delivery.attempt} of {delivery.max_attempts}"


def next_try(delivery: Delivery) -> SafeString | str:
    """When somebody will try again by itself, in words."""
    if delivery.state == Delivery.State.READY:
        return "now" if delivery.available_at <= timezone.now() else ago(delivery.available_at)
    return {Delivery.State.DEAD: "never", Delivery.State.RUNNING: "trying now"}.get(
        Delivery.State(delivery.state), NOTHING
    )


def spread(found: Spread | None) -> SafeString | str:
    """The median and what 95 of 100 stay below: “0.02 / 1.3 s”."""
    if found is None:
        return NOTHING
    return format_html('<span title="p50 and p95">{} / {} s</span>', _figure(found.p50), _figure(found.p95))


def _figure(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}"


def ago(moment: datetime | None) -> SafeString:
    """How long since, or until. The exact time is in the title, and for machines."""
    if moment is None:
        return SafeString(NOTHING)
    return _time(moment, _distance(moment))


def exact(moment: datetime | None) -> SafeString:
    """The time to the second, with how long ago in the title."""
    if moment is None:
        return SafeString(NOTHING)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        _distance(moment),
        format_datetime(timezone.localtime(moment), "d MMM HH:mm:ss", locale=_locale()),
    )


def _distance(moment: datetime) -> str:
    return format_timedelta(moment - timezone.now(), add_direction=True, format="short", locale=_locale())


def _time(moment: datetime, words: str) -> SafeString:
    full = format_datetime(timezone.localtime(moment), "d MMMM y, HH:mm:ss zzz", locale=_locale())
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), full, words)


def _locale() -> str:
    return to_locale(get_language() or "en")
