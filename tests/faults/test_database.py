"""The line to PostgreSQL breaks, at the worst moment or for a while: nobody is told a lie, nothing is done twice."""

import itertools
import json
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.faults.crowd import Client, insist
from tests.faults.proxy import PostgresProxy
from tests.faults.shelf import PRICE, new_products
from tests.journeys import tables
from tests.journeys.test_payments import LIES, visible
from tests.journeys.visitor import Visitor
from tests.rig import until

TRANSACTIONS = {
    "the outcome": 'UPDATE "orders_paymentattempt"',
    "the order": 'INSERT INTO "orders_order"',
    "the answer": 'UPDATE "orders_idempotencykey"',
}
WAYS = {
    "COMMIT is cut off": {"arrives": False},
    "its answer is cut off": {"arrives": True},
    "COMMIT vanishes": {"arrives": False, "silently": True},
    "its answer vanishes": {"arrives": True, "silently": True},
}
# Those that end at once come first: a transaction that has vanished keeps its locks for a while.
CASES = [(transaction, way) for way, transaction in itertools.product(WAYS, TRANSACTIONS)]
SHIPPING = 490
AT_ONCE = 2.0  # seconds
SILENCE = 28.0  # 18 until the silence is noticed, 5 for a new connection, and some
LOCKED = 6.0  # lock_timeout is 3 s, and may strike twice
GONE = 13.0  # 3 for a greeting on a kept connection, 5 for a new one, and some


@dataclass
class Story:
    """One buyer's program: what it was told until it had its final answer, and how long each answer took."""

    sku: str
    email: str = field(default_factory=lambda: f"{secrets.token_hex(6)}@example.com")
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    told: list = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def buy(self, shop):
        client = Client(shop)

        def ask():
            began = time.monotonic()
            try:
                return client.order(sku=self.sku, email=self.email, key=self.key)
            finally:
                self.took.append(time.monotonic() - began)

        answer = insist(ask, within=90, seen=self.told)
        client.close()
        return answer

    def __str__(self):
        return ", ".join(f"{status} after {took:.1f} s" for status, took in zip(self.statuses, self.took, strict=True))

    @property
    def statuses(self):
        return [getattr(answer, "status", answer) for answer in self.told]


def lose(lines: PostgresProxy, case, story):
    """Doom the commit of one transaction: known by the buyer's key, or by an amount that no other order has."""
    transaction, way = case
    total = PRICE + CASES.index(case) + SHIPPING
    mine = f'"captured" = {total}' if transaction == "the outcome" else story.key
    lines.lose_commit(TRANSACTIONS[transaction], mine, **WAYS[way])


@pytest.fixture(scope="module")
def stories(lined):
    """A commit lost in each transaction of a checkout, in each way. One wait for all of them to end well."""
    shop, lines = lined
    skus = new_products(shop, f"LOST{secrets.token_hex(3)}", len(CASES), 10)
    told: dict[tuple[str, str], tuple[Story, Future]] = {}
    with ThreadPoolExecutor(len(CASES) + 1) as buyers:
        for case, sku in zip(CASES, skus, strict=True):
            story = Story(sku)
            lose(lines.database, case, story)
            told[case] = story, buyers.submit(story.buy, shop)
            until(lambda: lines.database.lost, within=20, what=f"{case} to be lost")
            if "cut off" in case[1]:
                told[case][1].result()
            if case == ("the order", "COMMIT vanishes"):
                neighbour = Story(story.sku)
                told["neighbour"] = neighbour, buyers.submit(neighbour.buy, shop)
    for case, (story, _) in told.items():
        print(f"{case}: {story}")
    return {case: (story, future.result()) for case, (story, future) in told.items()}


@pytest.mark.parametrize("case", CASES, ids=": ".join)
def test_a_lost_commit_is_no_failure_and_the_same_key_finds_the_truth(shop, stories, case):
    story, answer = stories[case]

    assert answer.status == 201
    [number] = tables.numbers(shop, story.email)
    assert (answer.json()["number"], answer.json()["payment_status"]) == (number, "paid")
    assert len(tables.charges(shop, number)) == 1
    assert not [why for said in story.told if (why := LIES.search(said.text))]


@pytest.mark.parametrize("case", CASES, ids=": ".join)
def test_the_answer_to_a_lost_commit_comes_in_time(stories, slack, case):
    story, _ = stories[case]

    assert story.took[0] < (SILENCE if "vanishes" in case[1] else AT_ONCE) + slack
    assert set(story.statuses) <= {201, 202, 409, 503}


def test_who_waits_for_the_locks_of_a_lost_transaction_is_told_so_and_served_later(stories, slack):
    story, answer = stories["neighbour"]

    assert (story.statuses[0], answer.status) == (503, 201)
    assert max(story.took) < LOCKED + slack
    assert int(story.told[0].headers["Retry-After"]) >= 1


def test_after_lost_commits_every_letter_has_come_and_the_books_balance(shop, stories, books_balance):
    for _, answer in stories.values():
        number = answer.json()["number"]
        letters = until(lambda n=number: len(found := shop.mailbox(about=n)) >= 2 and found, within=30, what="letters")
        assert len(letters) == 2
    books_balance()


def test_a_form_whose_commit_was_lost_may_be_sent_again_and_is_one_order(shop, lines):
    email = f"{secrets.token_hex(6)}@example.com"
    buyer = Visitor(shop.url)
    buyer.go("/products/stick-set/")
    buyer.submit("/cart/add/", quantity="1")
    buyer.go("/checkout/")
    form = buyer.form("/checkout/")
    filled = form.fields | {"email": email, "name": "A", "line1": "1", "postal_code": "1", "city": "B", "country": "NL"}
    lines.database.lose_commit(TRANSACTIONS["the order"], form.fields["key"], arrives=True)

    lost = buyer.send("/checkout/", filled)
    again = buyer.send("/checkout/", filled)

    [number] = tables.numbers(shop, email)
    assert (lines.database.lost, lost.status, again.status) == (1, 503, 200)
    assert not LIES.search(visible(lost.text))
    assert number in buyer.url
    assert not LIES.search(visible(again.text))
    status = f"/api/v1/orders/{number}/"
    until(lambda: shop.get(status).json()["payment_status"] == "paid", within=60, what="the order to be paid")
    assert len(tables.charges(shop, number)) == 1


@pytest.mark.parametrize(("fault", "longest"), [("down", AT_ONCE), ("black_hole", GONE)])
def test_without_a_database_everybody_is_answered_503_in_time_and_served_afterwards(shop, lines, slack, fault, longest):
    stories = [Story("STICK-SET") for _ in range(4)]
    readers = ["/", "/products/stick-set/", "/api/v1/products/"]
    with ThreadPoolExecutor(16) as visitors:
        list(visitors.map(lambda path: timed_get(shop, path), readers * 4))  # each thread of the shop has a connection
        getattr(lines.database, fault)()
        buying = [visitors.submit(story.buy, shop) for story in stories]
        answers = list(visitors.map(lambda path: timed_get(shop, path), readers))
        until(lambda: all(story.told for story in stories), within=SILENCE, what="an answer for everybody")
        lines.database.heal()
        healed = time.monotonic()
        final = [future.result() for future in buying]

    print(f"{fault}: {[f'{answer.status} after {took:.1f} s' for answer, took in answers]}", *stories, sep="\n  ")
    print(f"  all paid {time.monotonic() - healed:.1f} s after the database was back")
    assert {answer.status for answer, _ in answers} == {story.statuses[0] for story in stories} == {503}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer, _ in answers)
    assert max([took for _, took in answers] + [story.took[0] for story in stories]) < longest + slack
    assert [answer.status for answer in final] == [201] * len(stories)
    assert [len(tables.numbers(shop, story.email)) for story in stories] == [1] * len(stories)
    assert [len(tables.charges(shop, answer.json()["number"])) for answer in final] == [1] * len(stories)


def timed_get(shop, path):
    client, began = Client(shop), time.monotonic()
    answer = client.get(path)
    client.close()
    return answer, time.monotonic() - began


def test_a_locked_table_is_a_503_in_time_and_no_half_order(shop, slack):
    story = Story("STICK-SET")
    with psycopg.connect(shop.direct) as other, ThreadPoolExecutor(1) as buyer:
        other.execute("LOCK TABLE orders_stock IN EXCLUSIVE MODE")
        buying = buyer.submit(story.buy, shop)
        until(lambda: story.told, within=SILENCE, what="an answer")
        orders = tables.numbers(shop, story.email)
        other.rollback()
        final = buying.result()

    print(story)
    assert (story.statuses[0], orders, final.status) == (503, [], 201)
    assert story.took[0] < LOCKED + slack


def test_a_slow_line_makes_slow_answers_and_no_wrong_ones(shop, lines, client):
    lines.database.drip(piece=400, every=0.05)

    began = time.monotonic()
    answer = client.order()

    print(f"over a line of 8 kB/s: {answer.status} after {time.monotonic() - began:.1f} s")
    assert answer.status == 201


LIMITS = {
    "lock_timeout": "3s",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "15s",
    "client_connection_check_interval": "1s",
    "synchronous_commit": "on",
    "fsync": "on",
}


def test_every_session_has_the_limits_that_keep_faults_short(shop):
    asked = shop.run("tests.faults.limits", *LIMITS)

    assert json.loads(asked) == LIMITS
