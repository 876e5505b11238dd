"""Write a letter once, inside the transaction that calls for it; post it later, outside any."""

import uuid
from email.utils import parseaddr
from typing import Any, TypedDict

from anymail.exceptions import AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import models, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from notifications import correlation, erased
from notifications.audit import log as audit
from notifications.mail.events import EmailBounced, EmailQueued, EmailSent
from notifications.mail.models import Letter
from notifications.mail.refusals import SERVER_AWAY_WAIT, code_of, refuses_address, verdict
from notifications.mail.sealing import is_sealed
from notifications.pipeline.events import publish, subject_of
from notifications.pipeline.models import Event
from notifications.pipeline.retries import Permanent, RetryLater


class Rendered(TypedDict):
    """A letter's parts; the subject is one line."""

    subject: str
    text: str
    html: str


class ReaderGone(Exception):
    """The address of a newsletter's reader takes nothing: that ends the subscription, and is nobody's failure."""


def queue_letter(
    *,
    once: str,
    template: str,
    to: str,
    context: dict[str, Any],
    about: models.Model,
    headers: dict[str, str] | None = None,
) -> Letter:
    """Write the letter `once` if it does not exist yet; `email.queued` sees to its posting.

    template: "orders/confirmation" renders templates/orders/email/confirmation.{subject,txt,html}. headers: beyond
    those that every letter has. Must be called inside a transaction. Returns the letter, old or new.
    """
    written = Letter.objects.filter(once=once).first()
    if written is not None:
        return written
    letter = Letter(
        once=once,
        template=template,
        to=to,
        subject_ref=subject_of(about),
        correlation_id=correlation.correlation_id(),
        message_id=_new_message_id(),
    )
    if erased.is_erased(to):  # its reader is forgotten: what it would say may name somebody
        letter.state = Letter.State.WITHDRAWN
        letter.save(force_insert=True)
        return letter
    letter.headers, parts = headers or {}, render(template, context)
    letter.subject, letter.text, letter.html = parts["subject"], parts["text"], parts["html"]
    letter.save(force_insert=True)
    publish(EmailQueued(letter_id=letter.pk, template=template), about=about)
    return letter


def resend(letter: Letter, *, key: str, to: str = "") -> Letter:
    """Write the same letter anew, as one with a Message-ID of its own; once for each `key`.

    to: another address than the one that did not take it. Who did it is in the audit log. Must be called inside a
    transaction.
    """
    again, written = Letter.objects.get_or_create(
        once=f"again:{letter.pk}:{key}",
        defaults={
            "template": letter.template,
            "to": to or letter.to,
            "subject_ref": letter.subject_ref,
            "correlation_id": letter.correlation_id,
            "message_id": _new_message_id(),
            "subject": letter.subject,
            "text": letter.text,
            "html": letter.html,
            "headers": letter.headers,
        },
    )
    if written:
        # Never the addresses: the log forgets nobody.
        facts = {"letter": again.pk, "other_address": again.to != letter.to}
        audit.record("letter.resent", about=f"letter:{letter.pk}", after=facts)
        with correlation.bound(correlation_id=letter.correlation_id, actor=correlation.actor()):
            publish(EmailQueued(letter_id=again.pk, template=again.template), about=again.subject_ref)
    return again


def post_letter(letter: Letter) -> None:
    """Hand the letter to the mail server, unless that has been done.

    Killed between the server's "accepted" and our commit, it is posted again under the same
    Message-ID: mail knows no stronger promise. Raises RetryLater while the server is away, Permanent when it will
    never take this letter, and ReaderGone when it is a newsletter to an address that does not exist.
    """
    if letter.state in (Letter.State.SENT, Letter.State.WITHDRAWN):
        return
    with _server() as server:
        try:
            server.send_messages([_message(letter)])
        except AnymailRecipientsRefused as error:  # the mail service knows that the address takes nothing
            _note_refusal(letter, "refused")
            raise Permanent(f"the mail service refuses this address: {error}") from error
        except OSError as error:  # every SMTPException is one
            if refuses_address(error):
                _note_refusal(letter, code_of(error))
            raise verdict(error) from error
        _mark_sent(letter)  # before the goodbye to the server: the window for a second copy stays small


def note_bounce(letter: Letter, *, code: str, for_good: bool) -> None:
    """Its address did not take it: said by the mail server while it was posted, or by a later report. Once each."""
    key = f"bounced:{letter.pk}:{'for good' if for_good else 'this time'}"
    with transaction.atomic():
        Letter.objects.filter(pk=letter.pk).update(state=Letter.State.BOUNCED)
        if not Event.objects.filter(dedupe_key=key).exists():
            bounced = EmailBounced(
                letter_id=letter.pk,
                template=letter.template,
                about=letter.subject_ref,
                code=code,
                for_good=for_good,
            )
            publish(bounced, about=letter.subject_ref, dedupe_key=key)


def withdraw(letter: Letter) -> None:
    """It is not posted any more: its reader wants no more of its kind."""
    Letter.objects.filter(pk=letter.pk, state=Letter.State.QUEUED).update(state=Letter.State.WITHDRAWN)


def may_go_elsewhere(letter: Letter) -> bool:
    """Whether another address may get it: not what logs its reader in, nor what ends its reader's subscription."""
    return letter.state == Letter.State.BOUNCED and not is_sealed(letter) and not is_newsletter(letter)


def is_newsletter(letter: Letter) -> bool:
    return "List-Unsubscribe" in letter.headers


def _note_refusal(letter: Letter, code: str) -> None:
    note_bounce(letter, code=code, for_good=True)
    if is_newsletter(letter):
        raise ReaderGone


def _mark_sent(letter: Letter) -> None:
    """Unless somebody has reported otherwise since we read it."""
    with transaction.atomic(durable=True):
        as_read = Letter.objects.filter(pk=letter.pk, state=letter.state)
        if as_read.update(state=Letter.State.SENT, sent_at=timezone.now()):
            publish(
                EmailSent(letter_id=letter.pk, template=letter.template, about=letter.subject_ref),
                about=letter.subject_ref,
            )


def _server() -> Any:
    try:
        server = get_connection()
        server.open()
    except OSError as error:
        raise RetryLater(SERVER_AWAY_WAIT, f"the mail server does not answer: {error}", outage=True) from error
    return server


def _message(letter: Letter) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        to=[letter.to],
        headers={
            **letter.headers,
            "Message-ID": letter.message_id,
            "X-Correlation-ID": letter.correlation_id,
            "X-Waybill-Template": letter.template,
        },
    )
    message.attach_alternative(letter.html, "text/html")
    vars(message)["metadata"] = {"letter": letter.pk}  # a mail service gives it back with its reports
    return message


def _new_message_id() -> str:
    """Made once and kept in the row: every posting of this letter carries it."""
    return f"<{uuid.uuid4()}@{parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition('@')[2]}>"


def render(template: str, context: dict[str, Any]) -> Rendered:
    """The parts of a letter: `queue_letter` says what `template` is."""
    app, name = template.split("/")
    part = f"{app}/email/{name}"
    subject = render_to_string(f"{part}.subject", context)
    return {
        # One line: a header that could hold two would be a way to inject more of them.
        "subject": " ".join(subject.split())[:255],
        "text": render_to_string(f"{part}.txt", context),
        "html": render_to_string(f"{part}.html", context),
    }
