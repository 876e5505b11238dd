"""The web process is killed with SIGKILL at each boundary of a checkout: every order ends paid, and paid once."""

import http.client
import secrets
import time
from dataclasses import dataclass

import pytest

from tests.journeys import tables
from tests.rig import until

pytestmark = pytest.mark.crash

KILLS = {"before": 5, "after": 10, "late": 5}
DROPPED = (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionResetError)
RECOVERED = 90.0  # seconds: 15 until the silence is noticed, then a question to the bank every second or so


@dataclass
class Orphan:
    """A request whose web process died, and what was true the moment after."""

    email: str
    key: str
    number: str
    state: str  # of its payment attempt
    charges: int


def orphan(shop, dying_web, where):
    email, key = f"dies-{where}-{secrets.token_hex(4)}@example.com", secrets.token_hex(16)
    with pytest.raises(DROPPED):
        dying_web.order(sku="STICK-SET", email=email, key=key)
    [(number, state)] = tables.rows(
        shop,
        "SELECT o.number, a.state FROM orders_order o JOIN orders_paymentattempt a ON a.order_id = o.id"
        " WHERE o.email = %s",
        email,
    )
    return Orphan(email, key, number, state, len(tables.charges(shop, number)))


@pytest.fixture(scope="module")
def orphans(shop, dying_web):
    """All kills first, one wait for all of them afterwards."""
    made = {where: [orphan(shop, dying_web, where) for _ in range(count)] for where, count in KILLS.items()}
    print("killed:", {where: dying_web.hits(where) for where in KILLS})
    return made


def insist(shop, orphan):
    """The buyer's program sends its request again, to a healthy process, until it has its final answer."""
    deadline = time.monotonic() + RECOVERED
    seen = []
    while time.monotonic() < deadline:
        answer = shop.order(sku="STICK-SET", email=orphan.email, key=orphan.key)
        seen.append(answer.status)
        if answer.status in (201, 402):
            return answer, seen
        assert answer.status in (202, 409), answer.text
        time.sleep(int(answer.headers["Retry-After"]))
    pytest.fail(f"{orphan.number} had no final answer within {RECOVERED:g} s: {seen}")


@pytest.mark.parametrize(
    ("where", "state", "charges"), [("before", "in_flight", 0), ("after", "in_flight", 1), ("late", "succeeded", 1)]
)
def test_the_process_really_died_there(orphans, dying_web, where, state, charges):
    """The bank may have told another process by the time we look."""
    told = {("succeeded", 1)} if charges else set()
    assert dying_web.hits(where) == KILLS[where] == len(orphans[where])
    assert {(orphan.state, orphan.charges) for orphan in orphans[where]} - told <= {(state, charges)}


@pytest.mark.parametrize("where", KILLS)
def test_every_order_ends_paid_and_is_charged_once(shop, orphans, where):
    for orphan in orphans[where]:
        answer, seen = insist(shop, orphan)

        assert answer.status == 201, seen
        assert (answer.json()["number"], answer.json()["payment_status"]) == (orphan.number, "paid")
        if where != "before":  # there, whoever asks again may be the one who finishes the order
            assert answer.headers["Idempotent-Replayed"] == "true"
        assert tables.numbers(shop, orphan.email) == [orphan.number]
        assert len(tables.charges(shop, orphan.number)) == 1


def test_the_letters_of_killed_requests_arrive_and_the_books_balance(shop, orphans, books_balance):
    for where in KILLS:
        for orphan in orphans[where]:
            insist(shop, orphan)
            letters = until(
                lambda number=orphan.number: found if len(found := shop.mailbox(about=number)) >= 2 else None,
                within=30,
                what=f"the letters about {orphan.number}",
            )
            assert sorted(letter.to for letter in letters) == sorted([orphan.email, "shipping@waybill.example"])
    books_balance()
