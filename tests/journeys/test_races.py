"""Many at once: for the last one there is, and with one key."""

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.journeys import tables
from tests.rig import until


def at_once(count, send):
    """What each of `count` threads got from `send(n)`, all let go at the same moment."""
    start = threading.Barrier(count)

    def run(n):
        start.wait()
        return send(n)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def test_fifty_want_the_last_one_and_one_gets_it(shop, books_balance, no_server_error):
    shop.manage("stock", "set", "LAST-ONE", 1)
    charged, race = len(tables.taken(shop)), secrets.token_hex(4)

    answers = at_once(50, lambda n: shop.order(sku="LAST-ONE", email=f"{race}-{n}@example.com"))

    won = [answer for answer in answers if answer.status == 201]
    lost = [answer for answer in answers if answer.status == 409]
    assert (len(won), len(lost)) == (1, 49), sorted(answer.status for answer in answers)
    assert {answer.json()["code"] for answer in lost} == {"out_of_stock"}
    assert [line for answer in lost for line in answer.json()["lines"]] == [
        {"sku": "LAST-ONE", "wanted": 1, "available": 0}
    ] * 49
    assert len(tables.taken(shop)) == charged + 1
    assert len(tables.charges(shop, won[0].json()["number"])) == 1
    assert shop.stock("LAST-ONE") == 0
    books_balance()


def test_one_key_sent_eight_times_at_once_is_one_order(shop, no_server_error):
    key, email = secrets.token_hex(16), f"{secrets.token_hex(4)}@example.com"

    answers = at_once(8, lambda _: insist(shop, key=key, email=email))

    [number] = tables.numbers(shop, email)
    assert {answer.status for answer in answers} == {201}
    assert {answer.json()["number"] for answer in answers} == {number}
    assert len({answer.text for answer in answers}) == 1
    assert len(tables.charges(shop, number)) == 1


def test_a_key_at_work_is_told_to_wait_and_then_gets_the_same_answer(shop, no_server_error):
    key, email = secrets.token_hex(16), f"{secrets.token_hex(4)}@example.com"
    with ThreadPoolExecutor(1) as elsewhere:
        first = elsewhere.submit(shop.order, key=key, email=email, card="pm_bank_slow")
        until(lambda: tables.numbers(shop, email), within=5, what="the first request to have placed its order")

        meanwhile = shop.order(key=key, email=email, card="pm_bank_slow")
        first = first.result()

    after = shop.order(key=key, email=email, card="pm_bank_slow")
    assert (meanwhile.status, meanwhile.json()["code"]) == (409, "in_progress")
    assert int(meanwhile.headers["Retry-After"]) >= 1
    assert first.status == 201
    assert "Idempotent-Replayed" not in first.headers
    assert (after.status, after.json()) == (first.status, first.json())
    assert after.headers["Idempotent-Replayed"] == "true"
    assert len(tables.charges(shop, first.json()["number"])) == 1


def test_a_key_with_another_body_is_refused(shop, no_server_error):
    key, email = secrets.token_hex(16), f"{secrets.token_hex(4)}@example.com"
    shop.order(key=key, email=email)

    other = shop.order(key=key, email=email, quantity=2)

    assert (other.status, other.json()["code"]) == (422, "key_reused")
    assert len(tables.numbers(shop, email)) == 1


def test_a_sold_out_answer_is_replayed_to_its_key_and_a_new_key_may_try_again(shop, no_server_error):
    key = secrets.token_hex(16)
    refused = shop.order(sku="SOCKS-MER", key=key)

    again, anew = shop.order(sku="SOCKS-MER", key=key), shop.order(sku="SOCKS-MER")

    assert (refused.status, again.status, anew.status) == (409, 409, 409)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == refused.json()
    assert "Idempotent-Replayed" not in anew.headers


def insist(shop, **order):
    """Send the order, and while its key is at work wait as told and send it again."""
    for _ in range(30):
        answer = shop.order(**order)
        if answer.status != 409 or answer.json()["code"] != "in_progress":
            return answer
        time.sleep(int(answer.headers["Retry-After"]))
    raise AssertionError("the key was at work for 30 tries")
