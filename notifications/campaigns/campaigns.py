"""A campaign from its start to its last letter. It may be killed at any point, and goes on with the next recipient.

Each step is one transaction: some recipients get the row of their letter, and posting each is a delivery of its own.
"""

from datetime import timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from notifications.campaigns import mailing_list
from notifications.campaigns.events import CampaignStarted
from notifications.campaigns.models import Campaign, Recipient, Subscriber
from notifications.mail.letters import queue_letter
from notifications.mail.models import Letter
from notifications.pipeline import effects
from notifications.pipeline.events import publish, subject_of
from notifications.pipeline.retries import RetryLater

A_SECOND: Final = 60  # steps in a minute, where as many letters are wanted
MOST_WAITING: Final = 20  # letters of a campaign that wait to be posted; more where a step writes more
WAITS_AT_MOST: Final = timedelta(minutes=10)
FUSE: Final = (100, 20)  # of the last so many letters so many bounced: something is wrong with us, not with them
TOO_MANY_BOUNCED: Final = "More than 20 of the last 100 letters bounced. See what the mail server says, then go on."
TEMPLATE: Final = "notifications/campaign"
State = Campaign.State


class NotNow(Exception):
    """The campaign is not in a state for this; the message says so."""


def start(campaign: Campaign) -> None:
    """Send it to everybody who is on the list now. Raises NotNow unless it is a draft."""
    _drive(campaign, {State.DRAFT}, started_at=timezone.now())


def resume(campaign: Campaign) -> None:
    """Go on with the next recipient. Raises NotNow unless it is paused. A person has seen what it was paused for."""
    _drive(campaign, {State.PAUSED}, fuse_overridden=bool(campaign.note), note="")


def pause(campaign: Campaign) -> None:
    """Write no more letters; the few that are written go out. Raises NotNow unless it is running."""
    if not Campaign.objects.filter(pk=campaign.pk, state=State.RUNNING).update(state=State.PAUSED):
        raise NotNow(f"{campaign} is not running.")
    campaign.refresh_from_db()


def carry_on(campaign_id: int) -> None:
    """The next few recipients. For the handler of `campaign.started`. Raises RetryLater while more are left."""
    driven_by = effects.this_delivery().event_id
    with transaction.atomic(durable=True):
        mine = Campaign.objects.select_for_update(no_key=True).filter(driven_by=driven_by, state=State.RUNNING)
        campaign = mine.filter(pk=campaign_id).first()
        if campaign is None:
            return
        if campaign.total is None:
            _enlist(campaign)
        if _blows_the_fuse(campaign):
            return
        count, seconds = pace(campaign.per_minute)
        left = _enough_wait(campaign, count) or _write_some(campaign, count)
    if left:
        raise RetryLater(seconds, "more are left", going_well=True)


def pace(per_minute: int) -> tuple[int, float]:
    """So many letters every so many seconds: in steps of a second, or of one letter where that takes longer."""
    count = max(1, per_minute // A_SECOND)
    return count, 60 * count / per_minute


def _drive(campaign: Campaign, wanted: set[Campaign.State], **changes: object) -> None:
    """A delivery of its own carries it on from now on; one from before has nothing more to do with it."""
    with transaction.atomic():
        found = Campaign.objects.select_for_update(no_key=True).filter(pk=campaign.pk, state__in=wanted).first()
        if found is None:
            raise NotNow(f"{campaign} is not {' or '.join(sorted(wanted))}.")
        found.driven_by = publish(CampaignStarted(campaign_id=found.pk), about=found)
        Campaign.objects.filter(pk=found.pk).update(driven_by=found.driven_by, state=State.RUNNING, **changes)
    campaign.refresh_from_db()


def _enlist(campaign: Campaign) -> None:
    """A row for everybody who is on the list at this moment, in one statement however many they are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO notifications_recipient (campaign_id, subscriber_id, skipped)"
            " SELECT %s, id, %s FROM notifications_subscriber WHERE state = 'confirmed' ORDER BY id"
            " ON CONFLICT DO NOTHING",
            [campaign.pk, False],
        )
    campaign.total = campaign.recipients.count()
    campaign.save(update_fields=["total"])


def _blows_the_fuse(campaign: Campaign) -> bool:
    """Whether so many letters came back that it pauses, for a person to look first."""
    looked_at, too_many = FUSE
    ended = _letters(campaign).exclude(state=Letter.State.QUEUED).order_by("-pk")
    if campaign.fuse_overridden or list(ended.values_list("state", flat=True)[:looked_at]).count("bounced") <= too_many:
        return False
    campaign.state, campaign.note = State.PAUSED, TOO_MANY_BOUNCED
    campaign.save(update_fields=["state", "note"])
    return True


def _enough_wait(campaign: Campaign, count: int) -> bool:
    """Whether letters pile up before the mail server, so that more of them would only be too late to be withdrawn.

    One that waits for longer has died, or somebody has discarded it: it holds up nobody behind it.
    """
    waiting = _letters(campaign).filter(state=Letter.State.QUEUED, queued_at__gt=timezone.now() - WAITS_AT_MOST)
    return waiting.count() >= max(MOST_WAITING, 2 * count)


def _letters(campaign: Campaign) -> QuerySet[Letter]:
    return Letter.objects.filter(subject_ref=subject_of(campaign))


def _write_some(campaign: Campaign, count: int) -> bool:
    """Whether there are more."""
    waiting = campaign.recipients.filter(letter=None, skipped=False).order_by("pk")
    some = list(waiting.select_related("subscriber")[:count])
    for recipient in some:
        _write_to(recipient, campaign)
    if len(some) == count:
        return True
    campaign.state, campaign.finished_at = State.DONE, timezone.now()
    campaign.save(update_fields=["state", "finished_at"])
    return False


def _write_to(recipient: Recipient, campaign: Campaign) -> None:
    subscriber = recipient.subscriber
    if subscriber.state != Subscriber.State.CONFIRMED:
        recipient.skipped = True
    else:
        recipient.letter = queue_letter(
            once=f"campaign:{campaign.pk}:{subscriber.pk}",
            template=TEMPLATE,
            to=subscriber.email,
            context={
                "subject": _to(subscriber, campaign.subject),
                "text": _to(subscriber, campaign.text),
                "leave": mailing_list.leave_address(subscriber),
            },
            about=campaign,
            headers=mailing_list.headers(subscriber),
        )
    recipient.save(update_fields=["letter", "skipped"])


def _to(subscriber: Subscriber, words: str) -> str:
    """Nothing but {name} is filled in: staff write words, not templates."""
    return words.replace("{name}", subscriber.name or subscriber.email)
