"""What the tests publish. `tag` names the test, whose handlers write down what they did in `ran.jsonl`."""

from notifications.pipeline.events import DomainEvent


class Asked(DomainEvent, name="test.asked"):
    """Fires when a test asks for one run of `kind`."""

    kind: str
    tag: str
    n: int
