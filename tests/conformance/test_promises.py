"""The same promises on SQLite and PostgreSQL, with the relay alone and with Celery."""

import signal
import time

import pytest

from tests.conformance import LATER
from tests.journeys import tables
from tests.rig import until

pytestmark = [pytest.mark.broker, pytest.mark.crash]

PROMPT = 2.5  # seconds a due delivery may take to begin on a busy machine, a lost hint or ring included


def test_an_orders_letters_arrive_once_each_and_the_one_who_should_ran_them(place):
    order = place.shop.order(sku="MUG").json()

    def letters():
        return sorted(letter.to for letter in place.shop.mailbox(about=order["number"]))

    until(lambda: len(letters()) >= 2, within=40, what="the letters")
    until(lambda: {row[1] for row in tables.deliveries(place.shop, order["correlation_id"])} == {"done"}, within=40)

    assert letters() == ["buyer@example.com", "shipping@waybill.example"]
    kinds = {kind for _, _, kind in tables.deliveries(place.shop, order["correlation_id"])}
    assert kinds == {place.runner}


def test_a_handler_that_fails_is_tried_again_then_dies_and_a_person_can_have_it_tried_again(place, tag):
    place.do("publish", kind="failing", tag=tag, count=1)
    until(lambda: place.deliveries(tag)[0][0] == "dead", within=30, what="the delivery to die")
    tries = len(place.ran(tag, "began"))

    place.mark(f"{tag}.mended")
    dead = place.shop.get("/api/v1/deliveries/?state=dead&handler=tests.failing").json()["results"]
    answers = [place.shop.post(f"/api/v1/deliveries/{one['id']}/retry/").status for one in dead]
    place.until_done(tag, 1)

    assert (tries, answers, len(place.ran(tag))) == (2, [200], 1)


def test_one_subjects_events_reach_an_ordered_handler_in_their_order(place, tag):
    place.do("publish", kind="in_line", tag=tag, count=20)
    place.until_done(tag, 20)

    assert [line["n"] for line in place.ran(tag)] == list(range(20))


def test_a_paused_handlers_deliveries_wait_and_go_on(place, tag):
    place.do("pause", handler="tests.plain")
    place.do("publish", kind="plain", tag=tag, count=3)
    time.sleep(PROMPT)
    while_paused = place.ran(tag)

    place.do("resume", handler="tests.plain")
    place.until_done(tag, 3)

    assert (while_paused, sorted(line["n"] for line in place.ran(tag))) == ([], [0, 1, 2])


def test_a_delayed_delivery_runs_at_its_time(place, tag):
    published = place.do("publish", kind="later", tag=tag, count=1)
    place.until_done(tag, 1)

    [line] = place.ran(tag)
    assert LATER - 0.1 <= line["at"] - published <= LATER + PROMPT


def test_what_a_killed_process_was_running_runs_again_and_is_done_once(place, tag):
    place.do("publish", kind="long", tag=tag, count=3)
    until(lambda: len(place.ran(tag, "began")) == 3, within=30, what="all three to be under way")

    pid = place.shop.kill(place.runner)
    place.mark(f"{tag}.end")
    place.until_back(pid)
    place.until_done(tag, 3)

    assert sorted(line["n"] for line in place.ran(tag)) == [0, 1, 2]
    ends = place.interrupted(tag)
    assert [outcome for outcome, _ in ends] == ["crashed"] * 3
    assert all("died while running it" in why for _, why in ends)  # its lock told, not the end of its lease


def test_a_clean_stop_gives_work_back_and_burns_no_attempt(place, tag):
    place.do("publish", kind="long", tag=tag, count=2)
    until(lambda: len(place.ran(tag, "began")) == 2, within=30, what="both to be under way")

    pid = place.shop.kill(place.runner, signal.SIGTERM)
    until(
        lambda: [end for end, _ in place.interrupted(tag)] == ["stopped"] * 2, within=30, what="both to be given back"
    )
    place.mark(f"{tag}.end")
    place.until_back(pid)
    place.until_done(tag, 2)

    assert place.deliveries(tag) == [("done", 1)] * 2
    # The tries that were given back came to their end all the same, and were not believed.
    assert {end for end, _ in place.interrupted(tag)} <= {"stopped", "fenced"}


def test_the_books_balance_at_the_end(place):
    ran = place.shop.manage("doctor")

    assert ran.returncode == 0, ran.stdout
