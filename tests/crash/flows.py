"""All flows, by name, and the rehearsal of everything."""

from tests.crash import buyer, pipeline, staff
from tests.crash.flow import Facts

FLOWS = {flow.name: flow for flow in (buyer.CHECKOUT, buyer.FORM, buyer.WEBHOOK, *staff.FLOWS, *pipeline.FLOWS)}


def prepare(name: str, tag: str) -> Facts:
    return FLOWS[name].prepare(tag)


def rehearse() -> None:
    """Everything once, in the process from which the actors are forked: they find code and templates loaded."""
    for name, flow in FLOWS.items():
        flow.act(flow.prepare(f"rehearsal-{name}"), say=lambda _: None)
    pipeline.relay_round(0.0)
