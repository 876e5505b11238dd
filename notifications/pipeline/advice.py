"""Where does a step belong: in the request, after the commit, or in both? The rules of this house, as questions.

The same rules say of each step of the shop (`steps`) which it is; a test holds that against where the code does it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Final


class Way(StrEnum):
    SEQUENTIAL = "sequential"
    EVENT_DRIVEN = "event-driven"
    HYBRID = "hybrid"

    @property
    def meaning(self) -> str:
        return {
            Way.SEQUENTIAL: "in the request, one line after the other",
            Way.EVENT_DRIVEN: "after the commit, in a handler of its own",
            Way.HYBRID: "decided in the request's transaction, carried out by a handler",
        }[self]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What is true of a step; the questions are in QUESTIONS, by the same names."""

    answer: bool = False
    undo: bool = False
    money: bool = False
    external: bool = False
    once: bool = False
    ordered: bool = False
    slow: bool = False

    @classmethod
    def of(cls, yes: set[str]) -> "Answers":
        return cls(**{field.name: field.name in yes for field in fields(cls)})


QUESTIONS: Final = {
    "answer": "Does the caller need its result in the answer?",
    "undo": "Must it be undone when the payment fails?",
    "money": "Does it change money or stock?",
    "external": "Does it call another machine: a gateway, a mail server, a webhook?",
    "once": "Would it do harm if it happened twice?",
    "ordered": "Must several about one thing keep their order?",
    "slow": "Can it take longer than a visitor likes to wait, say half a second?",
}


@dataclass(frozen=True, kw_only=True)
class Advice:
    """way: where it belongs. reasons: why. how: what to write, in this house."""

    answers: Answers
    way: Way
    reasons: tuple[str, ...]
    how: tuple[str, ...]


def advise(answers: Answers) -> Advice:
    way = way_of(answers)
    how = {Way.SEQUENTIAL: _in_the_request, Way.EVENT_DRIVEN: _after_the_commit, Way.HYBRID: _in_both}[way]
    return Advice(answers=answers, way=way, reasons=tuple(_reasons(answers, way)), how=tuple(how(answers)))


def way_of(answers: Answers) -> Way:
    """An answer that is needed and quick is given in the request. So are money and stock, unless it takes long."""
    if answers.answer:
        return Way.HYBRID if answers.slow else Way.SEQUENTIAL
    if answers.money or answers.undo:
        return Way.HYBRID if answers.external or answers.slow else Way.SEQUENTIAL
    return Way.EVENT_DRIVEN


def _reasons(a: Answers, way: Way) -> Iterator[str]:
    said = [
        (a.answer and not a.slow, "The caller needs the result; a handler runs when they have had their answer."),
        (a.answer and a.slow, "The caller needs the result, and it takes long: say at once that it was taken in."),
        (not a.answer and way is not Way.SEQUENTIAL, "Nobody waits for it: it must not fail the request, or slow it."),
        (a.money, "It changes money or stock: rows that must agree are written in one transaction, or will differ."),
        (a.undo, "It is undone with the payment: in one transaction the database does that, whoever dies."),
        (a.external, "No rollback calls another machine back, and it can hang: no transaction is open meanwhile."),
        (a.slow and not a.answer, "It is slow: in the request it would hold up a thread and a person."),
        (a.once, "Twice would do harm, and what is tried again may have happened before: it needs a key."),
        (a.ordered, "Later must not overtake earlier: the row it is about is where they queue up."),
    ]  # fmt: skip
    return (words for applies, words in said if applies)


def _in_the_request(a: Answers) -> Iterator[str]:
    if a.external:
        yield "Two short transactions: write down what will be asked, with its key; ask, with a time-out; settle."
        yield "A time-out is a state, not a failure: say “not known yet”, and let a handler ask again by the same key."
    else:
        yield "Do it in one `transaction.atomic(durable=True)`, and publish in it what others react to."
    if a.money:
        yield "Let the database settle races: a conditional UPDATE whose row count is checked, and a CHECK constraint."
    if a.once:
        yield "Take a key from the caller, unique in the database: a second request gets the answer of the first."
    if a.ordered:
        yield "Lock the row it is about with `select_for_update`: changes of one thing then queue up."


def _after_the_commit(a: Answers) -> Iterator[str]:
    yield "A function in `handlers.py` with `@subscribe(TheEvent)`: retries and dead letters come with it."
    if a.external:
        yield '`atomic=False`, and each call in `once("label", lambda key: …)`: what was done is not done again.'
        yield "What people ask about later (a letter, a call) is a row first; carrying it out is a delivery of its own."
    else:
        yield "Leave it `atomic`: its rows and its completion are one transaction, so they happen exactly once."
    if a.external and a.once:
        yield "Where the other side knows no keys, a call that may have happened waits for a person."
    if a.slow:
        yield "A `queue=` of its own, so that it holds nobody up, and a `limit=` after which it is given up for hung."
    if a.ordered:
        yield "`ordered=True`: one subject's events one at a time. `latest_only=True` where only the last word counts."


def _in_both(a: Answers) -> Iterator[str]:
    yield "In the request's transaction: decide, write the row that says so, publish the event. Its id is the key."
    if a.answer:
        yield "Answer 202 with an address where the state can be read, until it is done."
    yield "In a handler: carry it out. One verb, guarded by the row's state, settles it, whoever calls it how often."
    if a.external:
        yield "`atomic=False`; send the row's id as the key; `RetryLater` for as long as the other side does not know."
    if a.money or a.undo:
        yield "A sweep on `clock.minute` looks for rows that nobody works on, whatever became of their delivery."
    if a.slow:
        yield "A `queue=` of its own, and a `limit=` after which it is given up for hung."
    if a.ordered:
        yield "`ordered=True` for the handler: one subject's events one at a time."


def markdown(advice: Advice, alike: list[str]) -> str:
    """For an issue or a decision record. alike: the shop's own steps that are done this way."""
    given = asdict(advice.answers)
    asked = [f"- {words} **{'Yes' if given[name] else 'No'}**" for name, words in QUESTIONS.items()]
    parts = [
        f"# {advice.way.capitalize()}: {advice.way.meaning}",
        "## Asked",
        "\n".join(asked),
        "## Why",
        "\n".join(f"- {reason}" for reason in advice.reasons),
        "## How",
        "\n".join(f"{number}. {step}" for number, step in enumerate(advice.how, 1)),
        "## Done this way in this shop",
        "\n".join(f"- {step}" for step in alike),
    ]
    return "\n\n".join(parts) + "\n"
