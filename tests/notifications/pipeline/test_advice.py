"""The decision guide: the rules, the shop's own steps held against its code, the terminal and the page."""

# ruff: noqa: F401, F811

import json
from importlib import import_module
from io import StringIO

import pytest
from django.core.management import call_command

from notifications.pipeline.advice import QUESTIONS, Answers, Way, advise
from notifications.pipeline.events import subscriptions
from notifications.pipeline.steps import described, steps_by_way
from tests.notifications.test_admin import colleague, fresh_health, sam, staff

PAGE = "/admin/advise/"


def said(*flags):
    out = StringIO()
    call_command("pipeline", "advise", *flags, stdout=out)
    return json.loads(out.getvalue()) if "--json" in flags else out.getvalue()


@pytest.mark.parametrize(
    ("true", "way"),
    [
        (set(), Way.EVENT_DRIVEN),
        ({"answer"}, Way.SEQUENTIAL),
        ({"answer", "external", "money"}, Way.SEQUENTIAL),
        ({"answer", "slow"}, Way.HYBRID),
        ({"money"}, Way.SEQUENTIAL),
        ({"undo"}, Way.SEQUENTIAL),
        ({"money", "external"}, Way.HYBRID),
        ({"money", "slow"}, Way.HYBRID),
        ({"external", "slow", "once"}, Way.EVENT_DRIVEN),
        ({"ordered"}, Way.EVENT_DRIVEN),
    ],
)
def test_where_a_step_belongs(true, way):
    assert advise(Answers.of(true)).way is way


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_answer_is_a_reason_or_says_how(name):
    without, given = advise(Answers()), advise(Answers.of({name}))

    assert (given.reasons, given.how) != (without.reasons, without.how)
    assert given.reasons and given.how


def test_what_is_ordered_and_external_is_told_how():
    how = " ".join(advise(Answers(ordered=True, external=True)).how)

    assert "`ordered=True`" in how
    assert "`atomic=False`" in how


@pytest.mark.parametrize("step", described, ids=lambda step: step.title)
def test_each_step_of_the_shop_is_done_where_the_rules_say(step):
    """A handler where something comes after the commit, a verb where the request does or decides it."""
    if step.verb:
        module, _, name = step.verb.rpartition(".")
        assert callable(getattr(import_module(module), name))
    if step.handler:
        assert step.handler in subscriptions
    assert (bool(step.verb), bool(step.handler)) == {
        Way.SEQUENTIAL: (True, False),
        Way.EVENT_DRIVEN: (False, True),
        Way.HYBRID: (True, True),
    }[step.way]


def test_what_calls_outside_opens_no_transaction():
    outside = [step.handler for step in described if step.handler and step.answers.external]

    assert [handler for handler in outside if subscriptions[handler].atomic] == []


def test_the_known_steps_are_where_the_design_has_them():
    titles = {way: {step.title for step in steps} for way, steps in steps_by_way().items()}

    assert {"Place the order", "Ask the gateway for the money", "Settle the payment"} <= titles[Way.SEQUENTIAL]
    assert {"Post a letter", "Transcode a film", "Call somebody's webhook"} <= titles[Way.EVENT_DRIVEN]
    assert {"Find out about an unanswered payment", "Give money back"} <= titles[Way.HYBRID]


def test_the_terminal_answers_flags_with_reasons_and_the_shops_own_steps():
    words = said("--money", "--external")

    assert words.startswith("# Hybrid: decided in the request's transaction, carried out by a handler\n")
    assert "- Does it change money or stock? **Yes**\n" in words
    assert "- Would it do harm if it happened twice? **No**\n" in words
    assert "- Give money back (`orders.refunds.refund` then `orders.carry_out_refund`):" in words


def test_programs_get_the_same_as_facts():
    facts = said("--answer", "--json")

    assert (facts["way"], facts["answers"]["answer"], facts["answers"]["slow"]) == ("sequential", True, False)
    assert facts["reasons"] and facts["how"]
    assert "orders.checkout.place_order" in [step["verb"] for step in facts["steps"]]


def test_a_person_at_a_terminal_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda words: asked.append(words) or ("y" if "answer" in words else ""))

    assert said().startswith("# Sequential")
    assert [words.removesuffix(" [y/N] ") for words in asked] == list(QUESTIONS.values())


@pytest.mark.django_db
def test_the_page_asks_first_and_then_advises(staff):
    assert "Copy as Markdown" not in staff.get(PAGE).content.decode()
    page = staff.get(PAGE, {"asked": "1", "yes": ["money", "external", "nonsense"]}).content.decode()

    assert "Hybrid: decided in the request&#x27;s transaction" in page
    assert "<code>atomic=False</code>" in page
    assert 'value="money" checked' in page
    assert 'value="slow">' in page


@pytest.mark.django_db
def test_the_same_is_there_as_markdown(staff):
    answer = staff.get(PAGE, {"asked": "1", "yes": "answer", "markdown": "1"})

    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer.content.decode() == said("--answer").rstrip("\n") + "\n"


@pytest.mark.django_db
def test_all_staff_may_ask_and_it_costs_no_more_than_who_asks(colleague, django_assert_num_queries):
    visitor = colleague()
    visitor.get(PAGE)
    with django_assert_num_queries(4):  # session, user, what they may (2)
        assert visitor.get(PAGE, {"asked": "1"}).status_code == 200
