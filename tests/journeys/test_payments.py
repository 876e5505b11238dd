"""Whatever the bank does, nobody is told a lie, and nobody pays twice.

All cards are tried at the same time, because some of them keep a buyer waiting for ten seconds; what every
client and every page said meanwhile is kept, and the tests read it.
"""

import os
import re
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.journeys import tables
from tests.rig import Answer, until

UNKNOWN = ("pm_bank_timeout_after_charge", "pm_bank_error_after_charge")
DECLINED = {
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
}
SILENT = "pm_bank_timeout_before_charge"
SLOW = "pm_bank_slow"
WITHIN = 60.0  # seconds until the truth about a charge must be known
LIES = re.compile(r"\b(fail\w*|declin\w*|did not work|refused|expired|stopped)\b", re.IGNORECASE)


@dataclass
class Story:
    """One order: how its request was answered, and what API and page said at each look until it was paid."""

    answer: Answer
    took: float
    email: str
    statuses: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    paid_after: float | None = None

    @property
    def number(self):
        body = self.answer.json()
        return body.get("number") or body["order"]


def told(shop, card):
    """Buy with this card and watch."""
    began, email = time.monotonic(), f"{secrets.token_hex(4)}@example.com"
    answer = shop.order(sku="STICK-SET", card=card, email=email)
    story = Story(answer, time.monotonic() - began, email)
    if answer.status == 202:
        watch(shop, story, until=time.monotonic() + (WITHIN if card in UNKNOWN else 5))
    return story


def watch(shop, story, *, until):
    page = urlsplit(story.answer.json()["links"]["page"])
    answered = time.monotonic()
    while time.monotonic() < until and story.paid_after is None:
        story.pages.append(shop.get(f"{page.path}?{page.query}", key=None).text)
        story.statuses.append(shop.get(f"/api/v1/orders/{story.number}/", key="customer").json()["payment_status"])
        if story.statuses[-1] == "paid":
            story.paid_after = time.monotonic() - answered
        time.sleep(0.25)


@pytest.fixture(scope="module")
def stories(shop):
    cards = (*UNKNOWN, SILENT, SLOW)
    with ThreadPoolExecutor(len(cards)) as buyers:
        return dict(zip(cards, buyers.map(lambda card: told(shop, card), cards), strict=True))


@pytest.mark.parametrize("card", UNKNOWN)
def test_an_unknown_outcome_is_answered_with_202_and_paid_within_a_minute(shop, stories, card):
    story = stories[card]

    assert story.answer.status == 202
    assert story.answer.json()["payment_status"] in ("checking", "pending")
    assert story.paid_after is not None and story.paid_after < WITHIN, story.statuses
    print(f"{card}: paid {story.paid_after:.1f} s after the answer")
    assert len(tables.charges(shop, story.number)) == 1
    letters = until(
        lambda: found if len(found := shop.mailbox(about=story.number)) >= 2 else None, within=20, what="letters"
    )
    assert sorted(letter.to for letter in letters) == sorted([story.email, "shipping@waybill.example"])


@pytest.mark.parametrize("card", [*UNKNOWN, SILENT])
def test_while_nobody_knows_neither_page_nor_api_says_failed(stories, card):
    story = stories[card]

    assert story.pages and set(story.statuses) <= {"pending", "checking", "paid"}
    for text in [story.answer.text, *story.pages]:
        assert not LIES.search(visible(text)), LIES.search(visible(text))
    if card in UNKNOWN:
        assert "checking" in story.statuses or story.answer.json()["payment_status"] == "checking"


def test_a_slow_bank_is_waited_for(shop, stories):
    story = stories[SLOW]

    assert (story.answer.status, story.answer.json()["payment_status"]) == (201, "paid")
    assert 3 <= story.took < 10
    assert len(tables.charges(shop, story.number)) == 1


def test_a_bank_that_never_hears_us_does_not_get_us_to_say_anything_final(shop, stories):
    story = stories[SILENT]

    assert story.answer.status == 202
    assert set(story.statuses) <= {"pending", "checking"}
    assert tables.charges(shop, story.number) == []
    assert shop.mailbox(about=story.number) == []


@pytest.mark.full
@pytest.mark.skipif(os.environ.get("WAYBILL_FULL") != "1", reason="waits for the shop's patience to end: --full")
def test_a_payment_that_never_reached_the_bank_is_called_off_in_the_end(shop, stories, books_balance):
    story = stories[SILENT]

    status = until(lambda: ended(shop, story.number), within=240, what="the shop's patience to end")

    assert status == "expired"
    assert tables.charges(shop, story.number) == []
    assert [line["kind"] for line in shop.ledger() if line["reference"] in tables.references(shop, story.number)] == [
        "void"
    ]
    books_balance()


def ended(shop, number):
    status = shop.get(f"/api/v1/orders/{number}/").json()["payment_status"]
    return status if status not in ("pending", "checking") else None


@pytest.mark.parametrize(("card", "code"), DECLINED.items())
def test_a_declined_card_costs_nothing_and_frees_the_stock(shop, card, code):
    before, email = shop.stock("CAP-WOOL"), f"{secrets.token_hex(4)}@example.com"

    answer = shop.order(sku="CAP-WOOL", quantity=2, card=card, email=email)

    assert (answer.status, answer.json()["code"]) == (402, code)
    [number] = tables.numbers(shop, email)
    assert shop.stock("CAP-WOOL") == before
    assert tables.charges(shop, number) == []
    assert shop.get(f"/api/v1/orders/{number}/").json()["payment_status"] == "declined"
    [letter] = until(lambda: shop.mailbox(to=email), within=20, what="the letter about the payment")
    assert "did not work" in letter.subject


def visible(text):
    """A page without its head, scripts and attributes: what a person can read of it."""
    body = re.sub(r"<(script|style|head)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"<[^>]*>", " ", body)
