"""Dead letters: which of them are the same failure, and the word that goes out when a new one appears."""

import hashlib
import re
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db.models import Count, Max, Min

from notifications import correlation
from notifications.pipeline import locks
from notifications.pipeline.events import DomainEvent, publish
from notifications.pipeline.models import Delivery, Event

_CHANGES: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+", re.IGNORECASE)
LENGTH: Final = 16  # hexadecimal digits


class DeliveryBuried(DomainEvent, name="delivery.buried", public=True, personal=("sentence",)):
    """Fires when a delivery dies of something that no other dead delivery of its handler has died of."""

    delivery_id: int
    handler: str
    fingerprint: str
    sentence: str


def fingerprint(error: Exception) -> str:
    """What equal failures have in common: the class, the message without its numbers and ids, and where in our code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(one.filename).name}:{one.name}" for one in frames if _is_ours(one.filename)]
    return digest(type(error).__qualname__, str(error), *ours[-1:])


def _is_ours(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(settings.BASE_DIR) and "site-packages" not in path.parts


def digest(*parts: str) -> str:
    same = "\n".join(_CHANGES.sub("#", part) for part in parts)
    return hashlib.sha256(same.encode()).hexdigest()[:LENGTH]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Dead deliveries of one handler that died of the same; `sample` is the latest of them."""

    handler: str
    fingerprint: str
    count: int
    first: datetime
    last: datetime
    sample: Delivery


def groups(*, most: int = 50, died: tuple[datetime, datetime] | None = None) -> list[Group]:
    """The dead, gathered by what they died of, the largest groups first. Two queries.

    died: only those that died from the one moment on, and before the other.
    """
    dead = Delivery.objects.dead()
    if died is not None:
        dead = dead.filter(finished_at__gte=died[0], finished_at__lt=died[1])
    found = (
        dead.values("handler", "fingerprint")
        .annotate(count=Count("pk"), first=Min("finished_at"), last=Max("finished_at"), newest=Max("pk"))
        .order_by("-count", "-newest")[:most]
    )
    samples = Delivery.objects.select_related("event").in_bulk([row["newest"] for row in found])
    return [
        Group(
            handler=row["handler"],
            fingerprint=row["fingerprint"],
            count=row["count"],
            first=row["first"],
            last=row["last"],
            sample=samples[row["newest"]],
        )
        for row in found
        if row["newest"] in samples
    ]


def untold(start: datetime, end: datetime) -> list[Group]:
    """What died in this time, if there is more of it than was told of one by one."""
    found = groups(died=(start, end))
    told = Event.objects.filter(name=DeliveryBuried.name, occurred_at__gte=start, occurred_at__lt=end).count()
    return found if sum(group.count for group in found) > told else []


def tell(delivery: Delivery, *, fingerprint: str, sentence: str) -> None:
    """Inside the transaction that buries `delivery`: a failure nobody has been told of yet is told of."""
    locks.take_turns(delivery.handler, fingerprint)  # of two that die at once, the second sees the first
    others = Delivery.objects.dead().filter(handler=delivery.handler, fingerprint=fingerprint).exclude(pk=delivery.pk)
    if others.exists():
        return
    event = delivery.event
    with correlation.bound(correlation_id=event.correlation_id, actor=delivery.handler, cause=event.pk):
        publish(
            DeliveryBuried(
                delivery_id=delivery.pk, handler=delivery.handler, fingerprint=fingerprint, sentence=sentence[:300]
            ),
            about=delivery,
        )
