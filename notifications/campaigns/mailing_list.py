"""The mailing list: asked for, confirmed by a letter's link, left with one click, ended by a bounce or a complaint."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from notifications import erased
from notifications.campaigns.models import Subscriber
from notifications.mail.letters import is_newsletter, queue_letter
from notifications.mail.models import Letter

ASK_AGAIN_AFTER: Final = timedelta(days=1)  # nobody can fill a stranger's mailbox with our question
SALT: Final = "newsletter"
State = Subscriber.State


def join(*, email: str, name: str = "") -> None:
    """Somebody typed this address and wants our newsletter: ask the address whether that is so. In a transaction.

    Nothing happens for one that is on the list, and for one that was asked, or has left, less than a day ago. Nothing
    changes until the link in the letter is followed: whoever typed it may be a stranger.
    """
    if erased.is_erased(email):  # asked before the account was closed
        return
    now = timezone.now()
    made = {"name": name, "asked_at": now}
    locked = Subscriber.objects.select_for_update()
    subscriber, new = locked.get_or_create(email=email.strip().lower(), defaults=made)
    if subscriber.state == State.CONFIRMED or (not new and subscriber.asked_at > now - ASK_AGAIN_AFTER):
        return
    subscriber.asked_at = now
    subscriber.save(update_fields=["asked_at"])
    queue_letter(
        once=f"subscribe:{subscriber.pk}:{now.isoformat()}",
        template="notifications/subscribe",
        to=subscriber.email,
        context={"subscriber": subscriber, "page": _address("newsletter_confirm", _answer_to(subscriber))},
        about=subscriber,
    )


def asked(answer: str) -> Subscriber | None:
    """Whom the question of this link was put to; None when it is not the last one, or they have left since."""
    try:
        pk, when = signing.loads(answer, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    found = Subscriber.objects.filter(pk=pk).first()
    return found if found is not None and found.asked_at.isoformat() == when else None


def confirm(subscriber: Subscriber) -> None:
    """They have said yes, whatever was before."""
    fresh = {"state": State.CONFIRMED, "confirmed_at": timezone.now(), "ended_at": None}
    Subscriber.objects.filter(pk=subscriber.pk).exclude(state=State.CONFIRMED).update(**fresh)


def leave(subscriber: Subscriber) -> None:
    """No more letters, from this moment on; also those that are written and not posted yet."""
    _end(subscriber.email, State.LEFT, unless=[State.BOUNCED, State.COMPLAINED])


def note_bounce(email: str) -> None:
    """The address does not exist, or takes nothing from us."""
    _end(email, State.BOUNCED, unless=[State.COMPLAINED])


def note_complaint(email: str) -> None:
    """Its owner called a letter of ours spam."""
    _end(email, State.COMPLAINED, unless=[])


def still_wants(letter: Letter) -> bool:
    """Asked when a letter is posted. True for all that are no newsletters."""
    if not is_newsletter(letter):
        return True
    return Subscriber.objects.filter(email=letter.to.lower(), state=State.CONFIRMED).exists()


def headers(subscriber: Subscriber) -> dict[str, str]:
    """How a mail program offers to leave with one click (RFC 2369 and RFC 8058)."""
    return {
        "List-Unsubscribe": f"<{leave_address(subscriber)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def leave_address(subscriber: Subscriber) -> str:
    return _address("newsletter_leave", subscriber.token)


def _answer_to(subscriber: Subscriber) -> str:
    """Another one for each question, and another than what is in newsletters: those are forwarded."""
    return signing.dumps([subscriber.pk, subscriber.asked_at.isoformat()], salt=SALT)


def _address(name: str, key: str) -> str:
    return f"{settings.SITE_URL}{reverse(name, args=[key])}"


def _end(email: str, state: Subscriber.State, *, unless: list[Subscriber.State]) -> None:
    """Links that were sent before lose their force."""
    listed = Subscriber.objects.filter(email=email.lower()).exclude(state__in=[state, *unless])
    listed.update(state=state, ended_at=timezone.now(), asked_at=timezone.now())
