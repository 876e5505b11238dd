"""What the bank says, in the shapes Stripe says it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Manner(StrEnum):
    """How an answer leaves the house; all but the first are faults."""

    WHOLE = "whole"
    HANG = "hang"  # never: the caller waits until it gives up
    DROP = "drop"  # never: the line is cut at once
    GARBAGE = "garbage"  # as a page that is not JSON
    EMPTY = "empty"  # as 200 without a body
    DRIP = "drip"  # byte by byte, slowly


@dataclass(frozen=True)
class Answer:
    """A status and a body."""

    status: int
    body: dict[str, Any]
    manner: Manner = Manner.WHOLE
    replayed: bool = False

    @property
    def silent(self) -> bool:
        return self.manner is Manner.HANG

    @property
    def kept(self) -> bool:
        """Whether the key remembers it: yes once money could have moved, no for what was refused at the door."""
        return self.status in (200, 402, 500)


SILENCE = Answer(status=0, body={}, manner=Manner.HANG)
BROKEN = Answer(500, {"error": {"type": "api_error", "message": "Something went wrong on the bank's end."}})


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


def key_in_use() -> Refusal:
    return Refusal(
        409,
        "There is currently another in-progress request using this idempotency key.",
        type="idempotency_error",
        code="idempotency_key_in_use",
    )
