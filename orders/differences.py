"""Where the gateway's books and ours disagree: noted once while it lasts, and closed with who or what closed it."""

from django.utils import timezone

from notifications.pipeline.events import publish
from orders.events import DifferenceFound
from orders.models import Difference, Order


def note(
    *,
    kind: Difference.Kind,
    reference: str,
    detail: str,
    order: Order | None = None,
    gateway_id: str = "",
    amount: int = 0,
    currency: str = "",
) -> Difference:
    """The open difference of this kind about this reference; a new one is told of. Inside a transaction."""
    found, new = Difference.objects.open().get_or_create(
        kind=kind,
        reference=reference[:100],
        defaults={
            "order": order,
            "gateway_id": gateway_id[:100],
            "amount": amount,
            "currency": currency,
            "detail": detail[:300],
        },
    )
    if new:
        publish(DifferenceFound(difference_id=found.pk, kind=kind.value), about=found.order or found)
    else:
        Difference.objects.filter(pk=found.pk).update(seen_at=timezone.now(), detail=detail[:300])
    return found


def over(*, kind: Difference.Kind, reference: str, by: str) -> None:
    """The difference is no more."""
    Difference.objects.open().filter(kind=kind, reference=reference).update(
        resolved_at=timezone.now(), resolved_by="settlement", resolution=by[:200]
    )


def resolve(difference: Difference, *, by: str, how: str) -> bool:
    """Close it by a person's decision. False when it was closed before."""
    mine = Difference.objects.open().filter(pk=difference.pk)
    return bool(mine.update(resolved_at=timezone.now(), resolved_by=by[:100], resolution=how[:200]))
