"""Lists, cut by date and into pages, as Stripe cuts them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from orders.gateways.bank import forms
from orders.gateways.bank.answers import Answer, Refusal, no_such
from orders.gateways.bank.bodies import Body, list_body
from orders.gateways.bank.papers import Intent, Refund

Paper = TypeVar("Paper", Intent, Refund)


def answered(papers: Sequence[Paper], form: forms.Form, body: Callable[[Paper], Body], *, url: str) -> Answer:
    """The page that was asked for, of papers sorted newest first. Raises Refusal."""
    since, until = _span(form)
    chosen = [paper for paper in papers if since <= int(paper.created) <= until]
    limit = forms.whole(form.get("limit", "10"), param="limit")
    if not 1 <= limit <= 100:
        raise Refusal(400, "The limit is 1 to 100.", code="parameter_invalid_integer", param="limit")
    start = _start(chosen, form.get("starting_after"))
    page = [body(paper) for paper in chosen[start : start + limit]]
    return Answer(200, list_body(page, url=url, more=start + limit < len(chosen)))


def _span(form: forms.Form) -> tuple[int, float]:
    created = forms.bracketed(form, "created")
    since = forms.whole(created["gte"], param="created[gte]") if "gte" in created else 0
    until = forms.whole(created["lte"], param="created[lte]") if "lte" in created else float("inf")
    return since, until


def _start(papers: Sequence[Intent | Refund], after: str | None) -> int:
    if after is None:
        return 0
    for position, paper in enumerate(papers):
        if paper.id == after:
            return position + 1
    raise no_such("object", after, param="starting_after", status=400)
