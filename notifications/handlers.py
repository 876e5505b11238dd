"""What this app does when it hears an event."""

from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from notifications.audit import log as audit
from notifications.audit import seals
from notifications.campaigns import campaigns, mailing_list
from notifications.campaigns.events import CampaignStarted
from notifications.mail.events import EmailBounced, EmailQueued
from notifications.mail.letters import ReaderGone, post_letter, queue_letter, withdraw
from notifications.mail.models import Letter
from notifications.personal_data import erasures, exports
from notifications.personal_data.events import PartsErased, PartToErase
from notifications.pipeline import bulk, deadletters, ordering, retention
from notifications.pipeline.bulk import BulkDecided
from notifications.pipeline.clock import ClockDay, ClockHour, ClockMinute
from notifications.pipeline.deadletters import DeliveryBuried
from notifications.pipeline.events import seconds, subscribe
from notifications.pipeline.models import Delivery, Priority
from notifications.pipeline.retries import RetryLater
from notifications.webhooks import calls
from notifications.webhooks.events import EndpointDisabled, WebhookQueued
from notifications.webhooks.models import Endpoint

FORGOTTEN_AT_ONCE = 10 * retention.BATCH


def _place(event: EmailQueued) -> Priority:
    """A letter that somebody waits for goes before one of thousands."""
    return Priority.LAST if event.template == campaigns.TEMPLATE else Priority.USUAL


@subscribe(EmailQueued, queue="mail", atomic=False, priority=_place)
def send_letter(event: EmailQueued) -> None:
    letter = Letter.objects.get(pk=event.letter_id)
    if not mailing_list.still_wants(letter):
        withdraw(letter)
        return
    with suppress(ReaderGone):
        post_letter(letter)


@subscribe(EmailBounced)
def end_subscription(event: EmailBounced) -> None:
    """An address that takes nothing gets no newsletter any more."""
    if event.for_good:
        mailing_list.note_bounce(Letter.objects.get(pk=event.letter_id).to)


@subscribe(CampaignStarted, queue="mail", atomic=False, priority=Priority.LAST)
def carry_on_campaign(event: CampaignStarted) -> None:
    campaigns.carry_on(event.campaign_id)


@subscribe(ClockHour)
def mend_lines(event: ClockHour) -> None:  # noqa: ARG001
    ordering.mend_lines()


@subscribe(ClockMinute)
def seal_audit_log(event: ClockMinute) -> None:  # noqa: ARG001
    seals.seal()


@subscribe(ClockDay, atomic=False, priority=Priority.LAST)
def forget_old(event: ClockDay) -> None:  # noqa: ARG001
    """Some of it, and some more a second later: after a long while there may be more than its limit has time for."""
    gone = [*retention.prune(most=FORGOTTEN_AT_ONCE).values(), calls.prune(most=FORGOTTEN_AT_ONCE)]
    if max(gone) >= FORGOTTEN_AT_ONCE:
        raise RetryLater(1.0, "more is left", going_well=True)
    audit.forget_old_origins()


@subscribe(DeliveryBuried)
def email_new_failure(event: DeliveryBuried) -> None:
    """To the one who runs the shop; of one kind of failure no more than a letter an hour."""
    failed = Delivery.objects.select_related("event").get(pk=event.delivery_id)
    hour = timezone.now().strftime("%Y-%m-%dT%H")
    page = reverse("admin:notifications_failure_change", args=[failed.pk])
    queue_letter(
        once=f"failure:{event.handler}:{event.fingerprint}:{hour}",
        template="notifications/failure",
        to=settings.OPERATOR_EMAIL,
        context={"event": event, "failed": failed, "page": f"{settings.SITE_URL}{page}"},
        about=failed,
    )


@subscribe(ClockHour)
def email_digest(event: ClockHour) -> None:
    """What has died in the hour before, in one letter; none when each was told of in a letter of its own."""
    end = datetime.fromisoformat(event.at)
    if not (groups := deadletters.untold(end - timedelta(hours=1), end)):
        return
    page = f"{settings.SITE_URL}{reverse('admin:notifications_failure_changelist')}"
    queue_letter(
        once=f"digest:{event.at}",
        template="notifications/digest",
        to=settings.OPERATOR_EMAIL,
        context={"groups": groups, "count": sum(group.count for group in groups), "page": page},
        about=groups[0].sample,
    )


@subscribe(BulkDecided, atomic=False)
def carry_out_bulk_decision(event: BulkDecided) -> None:
    bulk.carry_on(event.bulk_id)


@subscribe(WebhookQueued, queue="webhooks", atomic=False, limit=seconds(60))
def call_webhook(event: WebhookQueued) -> None:
    calls.carry_out(call_id=event.call_id)


@subscribe(EndpointDisabled)
def email_endpoint_disabled(event: EndpointDisabled) -> None:
    """To its owner, once for each time, unless it was the owner who did it."""
    endpoint = Endpoint.objects.select_related("owner").filter(pk=event.endpoint_id).first()
    if endpoint is None or endpoint.disabled_at is None or not (event.by_itself or endpoint.disabled_by_shop):
        return
    page = reverse("webhook_endpoint", args=[endpoint.uid])
    queue_letter(
        once=f"endpoint-disabled:{endpoint.pk}:{endpoint.disabled_at.isoformat()}",
        template="notifications/endpoint_disabled",
        to=endpoint.owner.email,
        context={"endpoint": endpoint, "page": f"{settings.SITE_URL}{page}"},
        about=endpoint,
    )


@subscribe(PartToErase, atomic=False)
def erase_part(event: PartToErase) -> None:
    erasures.erase_part(erasure_id=event.erasure_id, part=event.part)


@subscribe(PartsErased, atomic=False, after=timedelta(minutes=15))
def erase_again(event: PartsErased) -> None:
    """No request of ours, and no handler, works for so long: what was on its way has arrived."""
    erasures.erase_again(erasure_id=event.erasure_id)


@subscribe(ClockHour, atomic=False)
def forget_exports(event: ClockHour) -> None:  # noqa: ARG001
    exports.prune()
