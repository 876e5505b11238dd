"""The mailing list: asked for, confirmed by a letter's link, left with one click, ended by a bounce or a complaint."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from notifications.campaigns.models import Subscriber
from notifications.mail.letters import queue_letter

ASK_AGAIN_AFTER: Final = timedelta(days=1)  # nobody can fill a stranger's mailbox with our question
State = Subscriber.State


def join(*, email: str, name: str = "") -> Subscriber:
    """Somebody typed this address and wants our newsletter: ask the address whether that is so. In a transaction.

    Nothing happens for one that is on the list, and for one that was asked less than a day ago.
    """
    address, now = email.strip().lower(), timezone.now()
    subscriber, new = Subscriber.objects.select_for_update().get_or_create(email=address, defaults={"name": name})
    asked_lately = subscriber.state == State.ASKED and subscriber.asked_at > now - ASK_AGAIN_AFTER
    if subscriber.state == State.CONFIRMED or (asked_lately and not new):
        return subscriber
    subscriber.state, subscriber.asked_at, subscriber.name = State.ASKED, now, name or subscriber.name
    subscriber.save(update_fields=["state", "asked_at", "name"])
    queue_letter(
        once=f"subscribe:{subscriber.pk}:{now.isoformat()}",
        template="notifications/subscribe",
        to=subscriber.email,
        context={"subscriber": subscriber, "page": _address("newsletter_confirm", subscriber)},
        about=subscriber,
    )
    return subscriber


def confirm(subscriber: Subscriber) -> bool:
    """The link was followed. False when it is too late: they have left, or the address does not work."""
    asked = Subscriber.objects.filter(pk=subscriber.pk, state=State.ASKED)
    now = timezone.now()
    fresh = asked.update(state=State.CONFIRMED, confirmed_at=now, ended_at=None)
    return bool(fresh) or Subscriber.objects.filter(pk=subscriber.pk, state=State.CONFIRMED).exists()


def leave(subscriber: Subscriber) -> None:
    """No more letters, from this moment on; also for those of a campaign that is under way."""
    _end(subscriber.email, State.LEFT, unless=[State.BOUNCED, State.COMPLAINED])


def note_bounce(email: str) -> None:
    """The address does not exist, or takes nothing from us."""
    _end(email, State.BOUNCED, unless=[State.COMPLAINED])


def note_complaint(email: str) -> None:
    """Its owner called a letter of ours spam."""
    _end(email, State.COMPLAINED, unless=[])


def headers(subscriber: Subscriber) -> dict[str, str]:
    """How a mail program offers to leave with one click (RFC 2369 and RFC 8058)."""
    return {
        "List-Unsubscribe": f"<{leave_address(subscriber)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def leave_address(subscriber: Subscriber) -> str:
    return _address("newsletter_leave", subscriber)


def _address(name: str, subscriber: Subscriber) -> str:
    return f"{settings.SITE_URL.rstrip('/')}{reverse(name, args=[subscriber.token])}"


def _end(email: str, state: Subscriber.State, *, unless: list[Subscriber.State]) -> None:
    listed = Subscriber.objects.filter(email=email.lower()).exclude(state__in=[state, *unless])
    listed.update(state=state, ended_at=timezone.now())
