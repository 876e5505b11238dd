"""What a mail service reports after it has taken a letter: that it bounced, that its reader complained or left.

django-anymail speaks the services' dialects and checks that it is them; `MAIL_SERVICE` says which one is ours.
"""

import json
from typing import Any, Final

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.db import transaction
from django.dispatch import receiver

from notifications.campaigns import mailing_list
from notifications.campaigns.models import Subscriber
from notifications.mail.letters import note_bounce
from notifications.mail.models import Letter

# The address itself is at fault. A block or a time-out is about this letter, or about us.
_FOR_GOOD: Final = (RejectReason.INVALID, RejectReason.BOUNCED, RejectReason.UNSUBSCRIBED)
# How services call what may work another time, a full mailbox say; anymail does not tell that apart.
_SOFT: Final = ('"softbounce"', '"soft_bounce"', '"soft"', '"transient"')


@receiver(tracking)
def hear(event: AnymailTrackingEvent, **_: Any) -> None:
    """In one transaction; what it raises is answered 500, and the service reports again."""
    with transaction.atomic():
        match event.event_type:
            case EventType.BOUNCED | EventType.REJECTED:
                if letter := _letter(event):
                    code = str(event.reject_reason or event.event_type)
                    note_bounce(letter, code=code, for_good=_is_for_good(event))
            case EventType.COMPLAINED:
                mailing_list.note_complaint(event.recipient or "")
            case EventType.UNSUBSCRIBED:
                for subscriber in Subscriber.objects.filter(email=(event.recipient or "").lower()):
                    mailing_list.leave(subscriber)


def _is_for_good(event: AnymailTrackingEvent) -> bool:
    said = json.dumps(event.esp_event, default=str).lower()
    soft = any(word in said for word in _SOFT) or str(event.mta_response or "").startswith("4")
    return event.reject_reason in _FOR_GOOD and not soft


def _letter(event: AnymailTrackingEvent) -> Letter | None:
    """The letter whose number travelled with it; else the last one to this address."""
    number = str((event.metadata or {}).get("letter", ""))
    letters = Letter.objects.filter(to__iexact=event.recipient or "").order_by("-pk")
    return (letters.filter(pk=number) if number.isdecimal() else letters).first()
