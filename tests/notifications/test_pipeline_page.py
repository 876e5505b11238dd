"""The page Pipeline: the map, how each handler does, and the buttons that hold one back."""

# ruff: noqa: F401, F811

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import AuditEntry, Brake, Delivery
from notifications.pipeline.events import declared, subscriptions
from notifications.pipeline.pulse import Pulse, pulses
from tests.notifications.test_admin import colleague, delivery, fresh_health, said, sam, staff

pytestmark = pytest.mark.django_db

PAGE = "/admin/pipeline/"
HANDLER = "orders.email_confirmation"


def pulse():
    return pulses(timezone.now())[HANDLER]


def row_of(handler, page):
    """The words of one row of the list."""
    [row] = [row for row in re.findall(r"<tr>.*?</tr>", page, re.S) if f'value="{handler}"' in row]
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


def test_a_handler_that_has_nothing_to_do_has_a_quiet_pulse():
    assert pulse() == Pulse(handler=HANDLER)


def test_what_waits_is_told_from_what_failed():
    now = timezone.now()
    for facts in (
        {"state": "ready", "last_error": ""},
        {"state": "ready", "last_error": "", "available_at": now + timedelta(hours=1)},
        {"state": "waiting", "order_key": "user:1"},
        {"state": "ready"},
        {"state": "dead"},
        {"state": "cancelled"},
    ):
        delivery(handler=HANDLER, **facts)
    found = pulse()

    assert (found.waiting, found.running, found.retrying, found.dead) == (3, 0, 1, 1)


def test_the_pace_is_that_of_the_last_five_minutes():
    now = timezone.now()
    for minutes, run in ((1, 2), (2, 4), (3, 6), (9, 60)):
        began = now - timedelta(minutes=minutes)
        times = {"available_at": began - timedelta(seconds=1), "started_at": began}
        delivery("done", handler=HANDLER, **times, finished_at=began + timedelta(seconds=run))
    found = pulse()

    assert (found.per_minute, found.wait.p50, found.run.p50) == (0.6, 1, 4)


@pytest.mark.parametrize(
    ("brake", "held"),
    [
        ({"paused_at": timezone.now(), "paused_by": "user:1", "reason": "no paper"}, ("paused", "no paper")),
        ({"resting_until": timezone.now() + timedelta(hours=1), "last_error": "refused"}, ("resting", "refused")),
        ({"resting_until": timezone.now() - timedelta(hours=1), "last_error": "refused"}, ("", "")),
    ],
)
def test_who_is_held_back_says_why(brake, held):
    Brake.objects.create(handler=HANDLER, **brake)

    assert (pulse().held, pulse().held_why) == held


def test_the_page_shows_every_event_and_every_handler(staff):
    page = staff.get(PAGE).content.decode()

    assert [name for name in declared if f'id="map-{name}"' not in page] == []
    assert [name for name in subscriptions if f'value="{name}"' not in page] == []
    assert "<script" not in page[page.index('class="wb-page"') : page.index("</table>")]


def test_numbers_lead_to_the_failures_behind_them(staff):
    delivery(handler=HANDLER)
    delivery("ready", handler=HANDLER)
    page = staff.get(PAGE).content.decode()

    words = "email_confirmation hears payment.received may publish email.queued mail 1 dead 1 retrying"
    assert row_of(HANDLER, page).startswith(words)
    for show in ("dead", "retrying"):
        assert f"/admin/notifications/failure/?handler={HANDLER}&amp;show={show}" in page
        listed = staff.get("/admin/notifications/failure/", {"handler": HANDLER, "show": show})
        assert listed.context["cl"].result_count == 1


def test_a_healthy_handler_is_paused_and_goes_on_and_both_are_written_down(staff, sam):
    press = {"handler": HANDLER, "next": PAGE}
    answer = staff.post("/admin/notifications/failure/handlers/", press | {"brake": "pause"}, follow=True)

    assert answer.redirect_chain[-1][0] == PAGE
    assert said(answer) == [f"{HANDLER} is paused. Its deliveries wait, and lose no try by it."]
    assert "Paused" in row_of(HANDLER, answer.content.decode())

    answer = staff.post("/admin/notifications/failure/handlers/", press | {"brake": "resume"}, follow=True)

    assert said(answer) == [f"{HANDLER} goes on."]
    assert pulse().held == ""
    written = AuditEntry.objects.filter(about=f"handler:{HANDLER}").order_by("pk").values_list("action", "actor")
    assert list(written) == [("handler.paused", f"user:{sam.pk}"), ("handler.resumed", f"user:{sam.pk}")]


def test_deliveries_of_a_handler_that_is_gone_are_told_of(staff):
    delivery("ready", handler="orders.no_more", last_error="")
    page = staff.get(PAGE).content.decode()

    assert "1 × user.registered for orders.no_more: no handler is named orders.no_more." in page


def test_who_may_only_look_has_no_button(colleague):
    looks = colleague("view_delivery", "view_failure")
    page = looks.get(PAGE)

    assert (page.status_code, "Pause" in page.content.decode()) == (200, False)
    pressed = looks.post("/admin/notifications/failure/handlers/", {"handler": HANDLER, "brake": "pause"})
    assert (pressed.status_code, Brake.objects.exists()) == (403, False)


def test_who_may_not_see_deliveries_does_not_see_the_page(colleague):
    looks = colleague("view_event")

    assert looks.get(PAGE).status_code == 403
    assert PAGE not in looks.get("/admin/").content.decode()


def test_the_page_asks_as_much_for_many_as_for_few(staff, django_assert_num_queries):
    for number in (1, 20):
        for _ in range(number):
            delivery(handler=HANDLER)
        staff.get(PAGE)
        with django_assert_num_queries(8):  # session, user; the map (3); pulses (3)
            staff.get(PAGE)
    assert Delivery.objects.count() == 21
