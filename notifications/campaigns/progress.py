"""How far a campaign is, counted from its rows."""

from typing import Any

from django.db.models import Count, Q

from notifications.campaigns.models import Campaign
from notifications.mail.models import Letter
from notifications.models import Delivery


def progress(campaign: Campaign) -> dict[str, Any]:
    """name, state, total (None before its start), written, sent, bounced, skipped, failed, left."""
    counted = campaign.recipients.aggregate(
        left=Count("pk", filter=Q(skipped=False, letter=None)),
        written=Count("letter"),
        sent=Count("pk", filter=Q(letter__state=Letter.State.SENT)),
        bounced=Count("pk", filter=Q(letter__state=Letter.State.BOUNCED)),
        skipped=Count("pk", filter=Q(skipped=True) | Q(letter__state=Letter.State.WITHDRAWN)),
    )
    return {
        "name": campaign.name,
        "state": campaign.state,
        "total": campaign.total,
        **counted,
        "failed": failed(campaign).count(),
    }


def failed(campaign: Campaign) -> Any:
    """Its deliveries that have died: a person may retry them."""
    handlers = ("notifications.send_letter", "notifications.carry_on_campaign")
    return Delivery.objects.dead().filter(handler__in=handlers, event__subject=f"campaign:{campaign.pk}")
