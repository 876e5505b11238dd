"""How far a campaign is, counted from its rows."""

from typing import Any

from django.db.models import Count, Q

from notifications.campaigns.models import Campaign
from notifications.mail.models import Letter
from notifications.models import Delivery


def progress(campaign: Campaign) -> dict[str, Any]:
    """name, state, total (None before its start), written, sent, bounced, skipped, failed, left."""
    counted = campaign.recipients.aggregate(
        written=Count("letter"),
        sent=Count("pk", filter=Q(letter__state=Letter.State.SENT)),
        bounced=Count("pk", filter=Q(letter__state=Letter.State.BOUNCED)),
        skipped=Count("pk", filter=Q(skipped=True)),
    )
    left = (campaign.total or 0) - counted["written"] - counted["skipped"]
    return {
        "name": campaign.name,
        "state": campaign.state,
        "total": campaign.total,
        **counted,
        "failed": failed(campaign).count(),
        "left": left,
    }


def failed(campaign: Campaign) -> Any:
    """The deliveries of its letters that have died: a person may retry them."""
    return Delivery.objects.dead().filter(handler="notifications.send_letter", event__subject=f"campaign:{campaign.pk}")
