"""The mail server is down, the broker is down: buyers notice neither, and nothing is lost."""

import os
import re
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from notifications.pipeline.brakes import TRIPS_AT
from tests.journeys import tables
from tests.journeys.visitor import Visitor
from tests.rig import until

ORDERS_WITHOUT_BROKER = 20
FROZEN = 30.0 if os.environ.get("WAYBILL_FULL") == "1" else 5.0  # seconds
BUYERS = 4  # at once
UNSENT = "SELECT count(*) FROM notifications_letter WHERE state = 'queued'"
PROFILES = """SELECT count(*) FROM accounts_profile AS p JOIN accounts_user AS u ON u.id = p.user_id
    WHERE u.email LIKE %s"""
LAST_ERROR = "d.handler, d.last_error"


def buy(shop, count):
    """Orders, and how long each took to be answered."""
    orders, took = [], []
    for _ in range(count):
        began = time.monotonic()
        answer = shop.order(sku="STICK-SET")
        took.append(time.monotonic() - began)
        assert answer.status == 201, answer.text
        orders.append(answer.json())
    return orders, took


def letters_about(post, orders):
    """The letters that came about these orders, as (order, addressee)."""
    time.sleep(0.2)  # it is asked again and again, and to read all letters is work for the machine under test
    wanted = {order["number"] for order in orders}
    found = [(wanted & set(letter.subject.split()), letter.to) for letter in post.letters]
    return sorted((number, to) for [*numbers], to in found for number in numbers)


def expected(orders):
    return sorted((order["number"], to) for order in orders for to in (order["email"], "shipping@waybill.example"))


def turned_away(shop, orders):
    """How many of their letters have met a mail server that did not answer."""
    told = [error for order in orders for _, error in tables.deliveries(shop, order["correlation_id"], LAST_ERROR)]
    return sum("the mail server does not answer" in error for error in told)


def staff_banner(shop):
    """What the staff pages say at the top, to a person who logs in to them."""
    visitor = Visitor(shop.url)
    visitor.go("/admin/login/?next=/admin/")
    staff = shop.facts["staff"]
    form = next(form for form in visitor.forms() if "password" in form.names)
    visitor.send(visitor.url, form.fields | {"login": staff["email"], "password": staff["password"]})
    assert visitor.page.status == 200
    return re.sub(r"\s+", " ", visitor.page.text)


def test_with_the_mail_server_down_buyers_are_served_and_letters_come_later(shop, post, books_balance, no_letter_twice):
    before, healthy = buy(shop, 5)
    until(lambda: letters_about(post, before) == expected(before), within=40, what="the letters")
    # Those of the demo's orders too: else it is they that meet the closed door, and ours need not.
    until(lambda: tables.rows(shop, UNSENT) == [(0,)], within=60, what="every letter to be sent")
    post.kill()

    orders, took = buy(shop, 5)
    # After a few the handler rests, and the others do not even knock.
    until(lambda: turned_away(shop, orders) >= TRIPS_AT, within=40, what="some letters to meet the closed door")
    post.start()
    until(lambda: letters_about(post, orders) == expected(orders), within=30, what="the letters")

    print(f"checkout: {statistics.median(healthy):.2f} s with, {statistics.median(took):.2f} s without a mail server")
    assert statistics.median(took) < 2 * statistics.median(healthy) + 0.5
    for order in orders:  # an outage burns no attempt
        ran = tables.deliveries(shop, order["correlation_id"], "d.handler, d.attempt")
        assert {attempt for handler, attempt in ran if handler == "notifications.send_letter"} == {1}
    books_balance()


def test_with_the_broker_killed_and_its_data_gone_nothing_is_lost(shop, broker, post, books_balance, no_letter_twice):
    first, _ = buy(shop, 1)

    broker.lose()
    orders, _ = buy(shop, ORDERS_WITHOUT_BROKER)
    until(lambda: letters_about(post, first + orders) == expected(first + orders), within=40, what="the letters")
    banner = staff_banner(shop)

    assert "The broker does not answer" in banner
    assert "The relay runs the handlers" in banner
    kinds = {kind for order in orders for _, state, kind in tables.deliveries(shop, order["correlation_id"])}
    assert "relay" in kinds
    books_balance()


def test_when_the_broker_is_back_celery_takes_over_again(shop, broker, post):
    broker.lose()
    buy(shop, 1)
    broker.start()

    until_celery_runs_everything(shop, post)


def until_celery_runs_everything(shop, post):
    def by_workers():
        [order], _ = buy(shop, 1)
        until(lambda: letters_about(post, [order]) == expected([order]), within=40, what="the letters")
        ran = tables.deliveries(shop, order["correlation_id"])
        return {kind for _, state, kind in ran if state == "done"} == {"worker"}

    until(by_workers, within=60, what="Celery to take over")
    # The banner tells what the relay last said of itself, which it says with its heartbeat.
    until(lambda: "The broker does not answer" not in staff_banner(shop), within=10, what="the banner to go")


def under_load(shop, seconds):
    """Orders of several buyers at once for so long, and how long the slowest of a hundred took."""
    until_then = time.monotonic() + seconds

    def shopping(_):
        bought = []
        while time.monotonic() < until_then:
            bought.append(buy(shop, 1))
        return bought

    with ThreadPoolExecutor(BUYERS) as buyers:
        bought = [one for some in buyers.map(shopping, range(BUYERS)) for one in some]
    took = sorted(seconds for _, [seconds] in bought)
    return [order for [order], _ in bought], took[int(len(took) * 0.99)]


def test_with_the_broker_frozen_under_load_orders_are_taken_and_letters_come(
    shop, broker, post, books_balance, no_letter_twice
):
    before, healthy = under_load(shop, FROZEN)
    os.kill(broker.process.pid, signal.SIGSTOP)  # it accepts connections, and says nothing
    try:
        orders, frozen = under_load(shop, FROZEN)
        until(lambda: "The broker does not answer" in staff_banner(shop), within=20, what="the banner")
        started = {order["correlation_id"] for order in orders}
        until(lambda: any(by_relay(shop, id) for id in started), within=20, what="the relay to run handlers")
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)

    until(lambda: letters_about(post, before + orders) == expected(before + orders), within=120, what="the letters")
    print(
        f"{len(before)} orders in {FROZEN:g} s with a broker, p99 {healthy:.2f} s;"
        f" {len(orders)} while it was frozen, p99 {frozen:.2f} s"
    )
    assert frozen < 3 * healthy + 0.5
    until_celery_runs_everything(shop, post)
    books_balance()


def by_relay(shop, correlation_id):
    return "relay" in {kind for _, _, kind in tables.deliveries(shop, correlation_id)}


def sign_up(shop, email):
    visitor = Visitor(shop.url)
    visitor.go("/accounts/signup/")
    began = time.monotonic()
    visitor.submit("/accounts/signup/", email=email, password1="correct horse battery")
    return visitor, time.monotonic() - began


def letters_to(post, email):
    time.sleep(0.2)
    return sorted(letter.subject for letter in post.letters if email in letter.to)


def test_with_mail_server_broker_worker_and_relay_down_people_register_and_all_comes_once(
    shop, broker, post, no_letter_twice
):
    _, healthy = sign_up(shop, "before@example.com")
    until(lambda: len(letters_to(post, "before@example.com")) == 2, within=40, what="the letters")
    emails = [f"person{n}@example.com" for n in range(3)]

    broker.lose()
    post.kill()
    stopped = [shop.kill(name, signal.SIGSTOP) for name in ("worker", "relay")]
    try:
        answers = [sign_up(shop, email) for email in emails]
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert [visitor.url.endswith("/accounts/confirm-email/") for visitor, _ in answers] == [True] * 3
    assert max(took for _, took in answers) < 2 * healthy + 0.5
    post.start()
    broker.start()

    wanted = letters_to(post, "before@example.com")
    for email in emails:
        until(lambda email=email: letters_to(post, email) == wanted, within=60, what=f"the letters to {email}")
    assert tables.rows(shop, PROFILES, "person%@example.com") == [(3,)]
