"""The steps of the shop, as each app's `steps.py` describes them: what is true of each, and where it is done."""

from dataclasses import dataclass
from typing import Final

from notifications.pipeline.advice import Answers, Way, way_of


@dataclass(frozen=True, kw_only=True)
class Step:
    """verb: the function that does or decides it in the request. handler: who does it, or carries it out, later."""

    title: str
    answers: Answers
    note: str
    verb: str = ""
    handler: str = ""

    @property
    def way(self) -> Way:
        return way_of(self.answers)

    def __str__(self) -> str:
        where = " then ".join(f"`{name}`" for name in (self.verb, self.handler) if name)
        return f"{self.title} ({where}): {self.note}"


described: Final[list[Step]] = []


def describe(*steps: Step) -> None:
    described.extend(steps)


def steps_by_way() -> dict[Way, list[Step]]:
    return {way: [step for step in described if step.way is way] for way in Way}
