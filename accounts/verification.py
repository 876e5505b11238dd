"""A code to the address that somebody has signed up or changed to. Asking costs the same, whoever has the address."""

from typing import Final

from django.db import transaction

from accounts.events import CodeAsked
from accounts.models import CodeRequest, User
from notifications.mail.letters import queue_letter
from notifications.mail.sealing import seal
from notifications.pipeline.events import publish

TEMPLATE: Final = "accounts/code"
seal(TEMPLATE)


def ask_for_code(*, email: str, code: str, user: User | None) -> None:
    """Note that this code is to be sent there; without a user the note is all there is, and nothing is sent."""
    with transaction.atomic():
        asked = CodeRequest.objects.create(email=email, code=code, user=user)
        publish(CodeAsked(request_id=asked.pk), about=asked)


def answer_code(*, request_id: int) -> None:
    """Write the letter with the code. In a transaction; twice is once."""
    asked = CodeRequest.objects.select_related("user").filter(pk=request_id).first()
    if asked is None:
        return
    if asked.user is not None:
        facts = {"user": asked.user, "code": asked.code}
        queue_letter(once=f"code:{asked.pk}", template=TEMPLATE, to=asked.email, context=facts, about=asked.user)
    asked.delete()
