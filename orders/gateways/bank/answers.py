"""What the bank says, in the shapes Stripe says it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A status and a body. A `silent` answer is never sent: the caller waits until it gives up."""

    status: int
    body: dict[str, Any]
    silent: bool = False
    replayed: bool = False

    @property
    def kept(self) -> bool:
        """Whether the key remembers it: yes once money could have moved, no for what was refused at the door."""
        return self.status in (200, 402, 500)


SILENCE = Answer(status=0, body={}, silent=True)


class Refusal(Exception):
    """A request turned away, as the answer that says so."""

    def __init__(self, status: int, message: str, *, type: str = "invalid_request_error", **details: Any) -> None:
        super().__init__(message)
        error = {"type": type, "message": message, **details}
        self.answer = Answer(status=status, body={"error": error})


def missing_parameter(name: str) -> Refusal:
    return Refusal(400, f"Missing required param: {name}.", code="parameter_missing", param=name)


def no_such(thing: str, id: str, *, param: str, status: int = 404) -> Refusal:
    return Refusal(status, f"No such {thing}: '{id}'", code="resource_missing", param=param)
