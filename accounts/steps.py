"""What is done with a person's account, for `manage.py pipeline advise`."""

from notifications.pipeline.advice import Answers
from notifications.pipeline.steps import Step, describe

describe(
    Step(
        title="Open an account",
        answers=Answers(answer=True, once=True),
        note="known and unknown addresses are answered alike, and in the same time.",
        verb="accounts.registration.sign_up",
    ),
    Step(
        title="Welcome somebody new",
        answers=Answers(once=True),
        note="letter, profile and mailing list are three handlers: one that fails holds up no other.",
        handler="accounts.email_welcome",
    ),
    Step(
        title="Gather a copy of somebody's data",
        answers=Answers(answer=True, slow=True),
        note="asked for in the request and shown as under way; a letter says when it is there.",
        verb="notifications.personal_data.exports.ask",
        handler="accounts.gather_export",
    ),
)
