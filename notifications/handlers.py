"""What this app does when it hears an event."""

from notifications.mail.events import EmailQueued
from notifications.mail.letters import post_letter
from notifications.pipeline import ordering
from notifications.pipeline.clock import ClockHour
from notifications.pipeline.events import subscribe


@subscribe(EmailQueued, queue="mail", atomic=False)
def send_letter(event: EmailQueued) -> None:
    post_letter(letter_id=event.letter_id)


@subscribe(ClockHour)
def mend_lines(event: ClockHour) -> None:  # noqa: ARG001
    ordering.mend_lines()
