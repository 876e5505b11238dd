"""What is done with a file, for `manage.py pipeline advise`."""

from notifications.pipeline.advice import Answers
from notifications.pipeline.steps import Step, describe

describe(
    Step(
        title="Take in a file",
        answers=Answers(answer=True),
        note="its bytes are kept and its row written before the answer says 202.",
        verb="uploads.intake.accept",
    ),
    Step(
        title="Make a picture's sizes",
        answers=Answers(slow=True),
        note="decoding may take long and may die of what it is given; the file is still there.",
        handler="uploads.make_renditions",
    ),
    Step(
        title="Transcode a film",
        answers=Answers(slow=True),
        note="minutes of work, in a queue of its own with a limit of its own.",
        handler="uploads.transcode",
    ),
)
