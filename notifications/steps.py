"""What this app does after the commit, for `manage.py pipeline advise`."""

from notifications.pipeline.advice import Answers
from notifications.pipeline.steps import Step, describe

describe(
    Step(
        title="Post a letter",
        answers=Answers(external=True, once=True, slow=True),
        note="the row was written with its cause; a mail server that is away fails no order.",
        handler="notifications.send_letter",
    ),
    Step(
        title="Call somebody's webhook",
        answers=Answers(external=True, slow=True),
        note="signed, under the same id on each try, in a queue of its own.",
        handler="notifications.call_webhook",
    ),
    Step(
        title="Send a campaign",
        answers=Answers(once=True, slow=True),
        note="one letter row for each reader; killed anywhere, it goes on with the next.",
        handler="notifications.carry_on_campaign",
    ),
)
