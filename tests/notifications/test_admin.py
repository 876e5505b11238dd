"""What staff see of what happens after the commit, and the decisions that are theirs."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import User
from notifications import context
from notifications.admin.traces import blocks
from notifications.audit.models import AuditEntry
from notifications.models import Attempt, Brake, BulkDecision, Delivery, Event, Failure, Letter, Queue, Worker

pytestmark = pytest.mark.django_db

FAILURES = "/admin/notifications/failure/"


@pytest.fixture(autouse=True)
def fresh_health(monkeypatch):
    """Nothing is known from an earlier test, and a slow machine does not ask twice for one page."""
    context.forget_health()
    monkeypatch.setattr(context, "REMEMBERED", 60.0)


@pytest.fixture
def sam():
    return User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(client, sam):
    """The browser of somebody who may do everything."""
    client.force_login(sam)
    return client


@pytest.fixture
def colleague(client):
    """`colleague("view_failure")` is the browser of somebody who may do just that."""

    def log_in(*permissions):
        user = User.objects.create(email="kim@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


def delivery(state="dead", *, subject="user:1", **facts):
    event = Event.objects.create(
        name="user.registered", subject=subject, payload={"user_id": 1}, correlation_id="abc-123", actor="visitor"
    )
    return Delivery.objects.create(
        **{
            "event": event,
            "handler": "accounts.send_welcome",
            "queue": "mail",
            "state": state,
            "last_error": "SMTPException: refused" if state in ("dead", "ready") else "",
            "attempt": 3,
            **facts,
        }
    )


def page_of(row, of="failure"):
    return f"/admin/notifications/{of}/{row.pk}/change/"


def said(response):
    """What the page that follows says in its messages."""
    return [str(message) for message in response.context["messages"]]


def badges(response):
    return re.findall(r'wb-badge [\w-]+">([^<]+)<', response.content.decode())


# -- The list ---------------------------------------------------------------------------------


def test_the_dead_come_first_then_what_retries_and_nothing_that_went_well(staff):
    delivery("ready")
    delivery("done")
    delivery("cancelled", last_error="refused")
    delivery("ready", last_error="", attempt=0)
    delivery("dead")
    assert badges(staff.get(FAILURES)) == ["Dead", "Retrying"]


def test_a_wait_that_burns_no_attempt_is_a_failure_to_see_too(staff):
    delivery("ready", attempt=0, last_error="the mail server does not answer")
    assert badges(staff.get(FAILURES)) == ["Retrying"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"show": "dead"}, ["Dead"]),
        ({"show": "retrying"}, ["Retrying"]),
        ({"handler": "notifications.send_letter"}, ["Dead"]),
        ({"queue": "mail"}, ["Retrying"]),
        ({"q": "abc-123"}, ["Dead", "Retrying"]),
        ({"q": "no such thing"}, []),
    ],
)
def test_failures_are_found_by_state_handler_queue_and_words(staff, asked, found):
    delivery("dead", handler="notifications.send_letter", queue="default")
    delivery("ready")
    assert badges(staff.get(FAILURES, asked)) == found


def test_a_failure_says_what_it_is_about_how_often_it_was_tried_and_when_next(staff, sam):
    row = delivery("ready", subject=f"user:{sam.pk}", available_at=timezone.now() + timedelta(minutes=3, seconds=5))
    page = staff.get(FAILURES).content.decode()
    assert f'<a class="wb-link" href="/admin/accounts/user/{sam.pk}/change/">sam@example.com</a>' in page
    assert f"{row.attempt} of {row.max_attempts}" in page
    assert re.search(r"in 3 min\b", page)


@pytest.mark.parametrize(
    ("of", "questions"),
    [
        (
            "failure",
            11,
        ),  # session, user, health (2), count, rows, brakes, groups (2), decisions, other apps
        ("delivery", 6),
        ("event", 7),  # and their deliveries
        ("letter", 6),
        ("worker", 8),
    ],
)
def test_the_lists_ask_as_many_questions_for_twenty_rows_as_for_two(staff, django_assert_num_queries, of, questions):
    for number in (2, 18):
        for n in range(number):
            made = delivery("dead", subject="")
            Letter.objects.create(once=f"{made.pk}", message_id=f"<{made.pk}>", to="a@example.com", text="", html="")
            Worker.objects.create(kind="worker", host="h", pid=n, lock_key=n)
        staff.get(f"/admin/notifications/{of}/")
        context.forget_health()
        with django_assert_num_queries(questions):
            staff.get(f"/admin/notifications/{of}/")


def test_names_of_what_rows_are_about_cost_one_question_a_kind(staff, sam, django_assert_num_queries):
    for _ in range(10):
        delivery("dead", subject=f"user:{sam.pk}")
    staff.get(FAILURES)
    context.forget_health()
    with django_assert_num_queries(12):
        staff.get(FAILURES)


# -- One failure ------------------------------------------------------------------------------

TRACEBACK = """Traceback (most recent call last):
  File "{base}/orders/handlers.py", line 22, in email_confirmation
    _write("confirmation", order)
  File "{base}/.venv/lib/python3.11/site-packages/django/template/base.py", line 171, in render
    return self._render(context)
           ^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/smtplib.py", line 1, in send
    raise
smtplib.SMTPException: refused
"""


def test_a_traceback_shows_our_frames_and_folds_the_libraries(settings):
    cut = blocks(TRACEBACK.format(base=settings.BASE_DIR))
    assert [(block.kind, block.frames) for block in cut] == [("words", 0), ("ours", 1), ("library", 2), ("words", 0)]
    assert cut[1].text.startswith('  File "orders/handlers.py", line 22')
    assert cut[3].text == "smtplib.SMTPException: refused"


def test_the_page_of_a_failure_tells_why_how_often_and_what_else_happened(staff, settings, django_assert_num_queries):
    row = delivery()
    for n in (1, 2):
        Attempt.objects.create(
            delivery=row,
            n=n,
            token=n,
            outcome="error",
            error_class="SMTPException",
            message=f"refused, time {n}",
            traceback=TRACEBACK.format(base=settings.BASE_DIR),
        )
    staff.get(page_of(row))
    context.forget_health()
    # session, user, health (2); the row; tries; trail: events, deliveries; the name of user:1; calls outside
    with django_assert_num_queries(10):
        page = staff.get(page_of(row)).content.decode()
    assert page.index("refused, time 2") < page.index("refused, time 1")
    assert "2 library frames" in page
    assert "Nobody will try this again until you decide." in page
    assert "&quot;user_id&quot;: 1" in page


def test_what_an_error_says_is_shown_and_not_run(staff):
    row = delivery(last_error="<script>alert(1)</script>")
    for url in (FAILURES, page_of(row), "/admin/"):
        assert "<script>alert" not in staff.get(url).content.decode()


# -- Retry and discard ------------------------------------------------------------------------


def test_retry_makes_it_due_at_once_and_writes_down_who(staff, sam):
    row = delivery()
    answer = staff.post(f"{FAILURES}{row.pk}/retry/", follow=True)
    row.refresh_from_db()
    assert said(answer) == ["accounts.send_welcome will be tried again now."]
    assert (row.state, row.available_at <= timezone.now()) == ("ready", True)
    assert [(note["action"], note["by"]) for note in row.resolution] == [("retry", f"user:{sam.pk}")]


def test_discard_needs_a_reason_and_keeps_it(staff, sam):
    row = delivery()
    refused = staff.post(f"{FAILURES}{row.pk}/discard/", {"reason": "  "}, follow=True)
    assert said(refused) == ["Nothing was discarded: give a reason first."]
    answer = staff.post(f"{FAILURES}{row.pk}/discard/", {"reason": "sent by hand"}, follow=True)
    row.refresh_from_db()
    assert said(answer) == ["accounts.send_welcome was discarded and will not be tried again."]
    assert (row.state, row.resolution[-1]["reason"]) == ("cancelled", "sent by hand")
    assert "sent by hand" in answer.content.decode()


@pytest.mark.parametrize(
    ("after", "words", "hours"), [("10m", "in 10 minutes", 1 / 6), ("1h", "in an hour", 1), ("1d", "tomorrow", 24)]
)
def test_a_retry_may_wait(staff, after, words, hours):
    row = delivery()
    answer = staff.post(f"{FAILURES}{row.pk}/retry/", {"after": after}, follow=True)
    row.refresh_from_db()
    assert said(answer) == [f"accounts.send_welcome will be tried again {words}."]
    assert (row.state, round((row.available_at - timezone.now()) / timedelta(hours=hours), 2)) == ("ready", 1)


def test_a_discard_is_taken_back_and_is_a_failure_again(staff, sam):
    row = delivery()
    discarded = staff.post(f"{FAILURES}{row.pk}/discard/", {"reason": "sent by hand"}, follow=True).content.decode()
    assert "Take the discard back" in discarded
    for words in ("accounts.send_welcome is no longer discarded.", "Nothing was changed. "):
        answer = staff.post(f"{FAILURES}{row.pk}/undo/", follow=True)
        assert said(answer)[0].startswith(words)
    row.refresh_from_db()
    assert row.state == "dead"
    assert [(note["action"], note["by"]) for note in row.resolution][1:] == [("undo", f"user:{sam.pk}")]


def test_a_corrected_payload_is_what_its_handler_reads(staff, sam):
    row = delivery()
    assert "Try it with another payload" in staff.get(f"{FAILURES}{row.pk}/change/").content.decode()
    answer = staff.post(f"{FAILURES}{row.pk}/correct/", {"payload": '{"user_id": 7, "newsletter": true}'}, follow=True)
    row.refresh_from_db()
    read = {"user_id": 7, "newsletter": True}
    assert said(answer) == ["accounts.send_welcome will be tried with what you wrote now."]
    assert (row.state, row.reading, row.event.payload) == ("ready", (read, 1), {"user_id": 1})
    assert row.resolution[-1]["reason"] == "user_id: 1 became 7; newsletter: None became True"
    assert "What it reads instead" in answer.content.decode()


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("", "Not taken: the payload is not JSON"),
        ("{]", "Not taken: the payload is not JSON"),
        ("[" * 50_000, "Not taken: the payload is not JSON"),
        ("[1]", "Not taken: the payload is a JSON object"),
        ('{"user_id": "seven", "newsletter": true}', "user_id must be int, not &#x27;seven&#x27;"),
        ('{"user_id": NaN}', "NaN is no number"),
        ('{"user_id": "\\u0000"}', "NUL"),
        ('{"user_id": "\\ud800"}', "Not taken: the payload is not JSON"),
        ('{"user_id": 1, "newsletter": true, "colour": "red"}', "user.registered has no field colour"),
        ("{}", "user.registered lacks user_id, newsletter"),
        (" " * 100_001, "100000 is the limit"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_beside_what_was_typed(staff, payload, problem):
    row = delivery()
    answer = staff.post(f"{FAILURES}{row.pk}/correct/", {"payload": payload}).content.decode()
    assert problem in answer
    assert html.escape(payload[:50]) in answer
    row.refresh_from_db()
    assert (row.state, row.corrected, row.resolution) == ("dead", None, None)


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_a_decision_that_comes_too_late_says_so_and_changes_nothing(staff, state):
    row = delivery(state)
    answer = staff.post(f"{FAILURES}{row.pk}/retry/", follow=True)
    row.refresh_from_db()
    assert said(answer) == [f"Nothing was changed. Delivery {row.pk} is no longer waiting."]
    assert row.state == state


def test_a_retry_never_leads_to_a_page_of_somebody_else(staff):
    answer = staff.post(f"{FAILURES}{delivery().pk}/retry/", {"next": "https://evil.example/"})
    assert answer.headers["Location"].startswith(FAILURES)


@pytest.mark.parametrize("decision", ["retry", "discard"])
def test_a_decision_needs_its_permission_a_post_and_the_token_of_the_form(colleague, sam, client, decision):
    row, viewer = delivery(), colleague("view_failure")
    url = f"{FAILURES}{row.pk}/{decision}/"
    assert viewer.get(url).status_code == 405
    assert viewer.post(url, {"reason": "x"}).status_code == 403
    assert "Retry now" not in viewer.get(page_of(row)).content.decode()
    client.handler.enforce_csrf_checks = True
    client.force_login(sam)
    assert client.post(url, {"reason": "x"}).status_code == 403
    row.refresh_from_db()
    assert row.state == "dead"


def test_who_may_decide_need_not_be_a_superuser(colleague):
    row = delivery()
    colleague("view_failure", "decide_failure").post(f"{FAILURES}{row.pk}/retry/")
    row.refresh_from_db()
    assert row.state == "ready"


def test_several_are_retried_together_and_what_ran_meanwhile_is_left_alone(staff):
    rows = [delivery(), delivery("ready"), delivery("running", worker=worker(), lease_until=timezone.now())]
    Failure.objects.filter(pk=rows[2].pk).update(last_error="refused")
    chosen = {"action": "retry_selected", "_selected_action": [row.pk for row in rows]}
    answer = staff.post(FAILURES, chosen, follow=True)
    assert said(answer) == [
        "2 will be tried again now.",
        f"1 left alone. Delivery {rows[2].pk} is no longer waiting.",
    ]


def test_several_are_discarded_after_one_reason_was_given(staff):
    rows = [delivery(), delivery()]
    chosen = {"action": "discard_selected", "_selected_action": [row.pk for row in rows]}
    asked = staff.post(FAILURES, chosen)
    assert "Discard 2 failures?" in asked.content.decode()
    assert Failure.objects.failing().count() == 2
    answer = staff.post(FAILURES, {**chosen, "reason": "a test"}, follow=True)
    assert said(answer) == ["2 discarded."]
    assert Failure.objects.failing().count() == 0


def test_the_actions_are_not_offered_to_who_may_only_look(colleague):
    row, viewer = delivery(), colleague("view_failure")
    viewer.post(FAILURES, {"action": "retry_selected", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.state == "dead"


# -- The rest ---------------------------------------------------------------------------------


def worker(**facts):
    return Worker.objects.create(**{"kind": "worker", "host": "here", "pid": 1, "lock_key": 1, **facts})


@pytest.mark.parametrize("of", ["failure", "delivery", "event", "letter", "worker"])
def test_nothing_is_added_changed_or_deleted_here(staff, of):
    row = {"event": lambda: delivery().event, "worker": worker, "letter": letter}.get(of, delivery)()
    assert staff.get(f"/admin/notifications/{of}/add/").status_code == 403
    assert staff.get(f"/admin/notifications/{of}/{row.pk}/delete/").status_code == 403
    assert staff.get(page_of(row, of)).status_code == 200


@pytest.mark.parametrize("of", ["failure", "delivery", "event", "letter", "worker"])
def test_each_page_needs_the_permission_to_view_it(colleague, of):
    row = {"event": lambda: delivery().event, "worker": worker, "letter": letter}.get(of, delivery)()
    viewer = colleague("view_order")
    assert viewer.get(f"/admin/notifications/{of}/").status_code == 403
    assert viewer.get(page_of(row, of)).status_code == 403


def letter(**facts):
    return Letter.objects.create(
        **{
            "once": "x",
            "template": "orders/confirmation",
            "to": "ada@example.com",
            "subject": "Thank you",
            "text": "Thanks",
            "html": "<html><head></head><body><p>Thanks</p></body></html>",
            "message_id": "<1@x>",
            **facts,
        }
    )


def test_a_letter_is_shown_in_a_frame_that_can_do_nothing(staff):
    row = letter()
    page = staff.get(page_of(row, "letter")).content.decode()
    assert re.search(rf'<iframe [^>]*src="/admin/notifications/letter/{row.pk}/html/"[^>]* sandbox="', page)
    frame = staff.get(f"/admin/notifications/letter/{row.pk}/html/")
    assert "<p>Thanks</p>" in frame.content.decode()
    assert frame.headers["Content-Security-Policy"].startswith("sandbox ")
    assert "default-src 'none'" in frame.headers["Content-Security-Policy"]
    assert frame.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_letter_is_sent_again_as_a_new_one_once_for_each_press(staff):
    row = letter(state="sent", sent_at=timezone.now())
    page = staff.get(page_of(row, "letter")).content.decode()
    key = re.search(r'name="key" value="([^"]+)"', page)[1]
    pressed = [staff.post(f"/admin/notifications/letter/{row.pk}/again/", {"key": key}, follow=True) for _ in "12"]

    again = Letter.objects.exclude(pk=row.pk).get()
    assert said(pressed[0]) == [f"Written again to {row.to}; it goes out now."]
    assert (again.to, again.subject, again.html, again.state) == (row.to, row.subject, row.html, "queued")
    assert again.message_id != row.message_id
    assert Delivery.objects.get(handler="notifications.send_letter").event.payload["letter_id"] == again.pk


def again(browser, row, **asked):
    return browser.post(f"/admin/notifications/letter/{row.pk}/again/", {"key": "7", **asked}, follow=True)


def test_a_bounced_letter_is_sent_again_to_a_corrected_address_and_the_log_says_who_did_it(staff):
    row = letter(state="bounced", to="ada@exmaple.com")
    assert 'name="to"' in staff.get(page_of(row, "letter")).content.decode()

    pressed = again(staff, row, to="ada@example.com")

    new = Letter.objects.exclude(pk=row.pk).get()
    assert said(pressed) == ["Written again to ada@example.com; it goes out now."]
    assert (new.to, new.html, new.state) == ("ada@example.com", row.html, "queued")
    entry = AuditEntry.objects.get(action="letter.resent")
    assert (entry.about, entry.after) == (f"letter:{row.pk}", {"letter": new.pk, "other_address": True})
    assert entry.actor.startswith("user:")


def test_a_bounced_letter_is_sent_again_to_its_own_address_too(staff):
    row = letter(state="bounced")

    again(staff, row)

    assert Letter.objects.exclude(pk=row.pk).get().to == row.to
    assert AuditEntry.objects.get(action="letter.resent").after["other_address"] is False


@pytest.mark.parametrize(
    ("facts", "to", "words"),
    [
        ({"state": "bounced"}, "nowhere", "That is no e-mail address."),
        ({"state": "sent", "sent_at": timezone.now()}, "eve@example.com", "to its own address only"),
        ({"state": "bounced", "template": "accounts/new_password"}, "eve@example.com", "to its own address only"),
        ({"state": "bounced", "headers": {"List-Unsubscribe": "<x>"}}, "eve@example.com", "to its own address only"),
    ],
    ids=["no address", "one that arrived", "one that logs in", "a newsletter"],
)
def test_what_must_not_go_elsewhere_does_not(staff, facts, to, words):
    row = letter(**facts)

    [sentence] = said(again(staff, row, to=to))

    assert words in sentence
    assert (Letter.objects.get(), AuditEntry.objects.filter(action="letter.resent").count()) == (row, 0)


def test_a_letter_on_its_way_is_not_offered_to_be_sent_again(staff):
    row = letter()
    assert "Send it again" not in staff.get(page_of(row, "letter")).content.decode()

    pressed = staff.post(f"/admin/notifications/letter/{row.pk}/again/", {"key": "7"}, follow=True)

    assert said(pressed) == ["Only a letter that has been sent can be sent again."]
    assert Letter.objects.get() == row


def test_sending_again_needs_a_permission_of_its_own(colleague):
    row = letter(state="sent", sent_at=timezone.now())
    browser = colleague("view_letter")

    assert "Send it again" not in browser.get(page_of(row, "letter")).content.decode()
    assert browser.post(f"/admin/notifications/letter/{row.pk}/again/").status_code == 403


def test_a_letters_frame_needs_the_permission_too(colleague):
    assert colleague("view_order").get(f"/admin/notifications/letter/{letter().pk}/html/").status_code == 403


def test_a_silent_worker_looks_different_from_one_that_stopped(staff):
    worker()
    worker(beat_at=timezone.now() - timedelta(minutes=1))
    worker(beat_at=timezone.now() - timedelta(minutes=2), stopped_at=timezone.now())
    assert badges(staff.get("/admin/notifications/worker/")) == ["Alive", "Silent"]
    assert badges(staff.get("/admin/notifications/worker/", {"show": "all"})) == ["Alive", "Silent", "Stopped"]


# -- The banner, and the policy of the staff pages ---------------------------------------------

DOWN = "No relay is running"


def test_the_banner_is_on_every_staff_page_when_nothing_runs(staff):
    for url in ("/admin/", FAILURES, "/admin/orders/order/", "/admin/accounts/user/"):
        page = staff.get(url).content.decode()
        assert ('role="alert"' in page, DOWN in page) == (True, True), url


def test_a_lesser_warning_is_a_status_and_no_alarm(staff, settings):
    settings.BROKER_URL = "redis://127.0.0.1:1"
    worker(kind="relay", note={"mode": "relay", "broker_error": "refused"})
    page = staff.get("/admin/").content.decode()
    assert 'role="status"' in page
    assert "The broker does not answer (refused)" in page
    assert "wb-alarm" not in page


def test_customers_and_strangers_are_never_told(client):
    client.get("/")
    assert DOWN not in client.get("/").content.decode()
    client.force_login(User.objects.create(email="ada@example.com"))
    assert DOWN not in client.get("/").content.decode()


def test_health_is_asked_once_for_all_parts_of_a_page(staff, django_assert_num_queries):
    staff.get("/admin/notifications/worker/")
    context.forget_health()
    # Session, user, health (2), queues (2), count, rows: the banner and the menu's badge share it.
    with django_assert_num_queries(8):
        staff.get("/admin/notifications/worker/")


def test_only_the_staff_pages_may_evaluate_scripts(staff):
    assert "'unsafe-eval'" in staff.get("/admin/").headers["Content-Security-Policy"]
    shop = staff.get("/").headers["Content-Security-Policy"]
    assert "unsafe" not in shop
    assert (
        "'unsafe-inline'"
        not in staff.get("/admin/").headers["Content-Security-Policy"].split("script-src")[1].split(";")[0]
    )


# -- Lines ------------------------------------------------------------------------------------


def test_a_line_says_who_holds_it_up_and_how_many_wait(staff):
    dead = delivery("dead", order_key="user:1")
    first, *_ = [delivery("waiting", order_key="user:1") for _ in range(2)]
    delivery("waiting", order_key="user:2")

    waits, holds = staff.get(page_of(first, "delivery")), staff.get(page_of(dead))

    assert page_of(dead, "delivery") in waits.content.decode()
    assert badges(waits)[:2] == ["Waiting its turn", "Dead"]
    assert "2 waiting" in holds.content.decode()


# -- Groups -----------------------------------------------------------------------------------

GROUPS = "/admin/notifications/failure/groups/decide/"


def group_of(count, handler="accounts.send_welcome", **facts):
    rows = [delivery("dead", handler=handler, fingerprint="f00d", finished_at=timezone.now()) for _ in range(count)]
    return {"handler": handler, "fingerprint": "f00d"} | facts, rows


def test_failures_of_one_kind_are_gathered_on_top_with_what_can_be_done(staff):
    group_of(3)
    delivery("dead", handler="orders.email_confirmation", fingerprint="cafe", finished_at=timezone.now())
    page = staff.get(FAILURES).content.decode()

    assert "Try one, then the rest" in page and "Retry all 3" in page and "Discard all 3" in page
    assert "Retry all 1" not in page


@pytest.mark.parametrize(
    ("asked", "words", "action"),
    [
        ({"decision": "canary"}, "One is tried first; the other 2 follow when it has worked.", "retry"),
        ({"decision": "retry"}, "3 will be tried again, ten a second.", "retry"),
        ({"decision": "discard", "reason": "not needed"}, "3 will be discarded.", "discard"),
    ],
)
def test_a_group_is_decided_about_with_one_button(staff, sam, asked, words, action):
    group, _ = group_of(3)
    response = staff.post(GROUPS, group | asked, follow=True)

    job = BulkDecision.objects.get()
    assert said(response) == [words]
    assert (job.action, job.total, job.by, job.state) == (action, 3, f"user:{sam.pk}", "running")
    assert "0 of 3" in response.content.decode()


@pytest.mark.parametrize("asked", [{"decision": "discard", "reason": " "}, {"decision": "explode"}, {}])
def test_half_a_decision_decides_nothing(staff, asked):
    group, _ = group_of(3)
    response = staff.post(GROUPS, group | asked, follow=True)

    assert said(response)[0].startswith("Nothing was d")
    assert not BulkDecision.objects.exists()


def test_a_decision_about_many_can_be_stopped(staff):
    group, _ = group_of(3)
    staff.post(GROUPS, group | {"decision": "retry"}, follow=True)
    stop = f"/admin/notifications/failure/groups/{BulkDecision.objects.get().pk}/stop/"

    assert said(staff.post(stop, follow=True)) == ["Stopped. What was decided before that stays."]
    assert said(staff.post(stop, follow=True)) == ["It had come to its end already."]
    assert BulkDecision.objects.get().state == "stopped"


def test_a_discard_of_many_can_be_taken_back_once(staff, colleague):
    group, _ = group_of(3)
    staff.post(GROUPS, group | {"decision": "discard", "reason": "not needed"})
    BulkDecision.objects.update(state="done", finished_at=timezone.now())
    discarded = {"action": "discard", "by": "user:1", "reason": "not needed", "was": "dead"}
    Delivery.objects.update(state="cancelled", finished_at=timezone.now(), resolution=[discarded])
    undo = f"/admin/notifications/failure/groups/{BulkDecision.objects.get().pk}/undo/"
    assert "Take it back" in staff.get(FAILURES).content.decode()

    assert said(staff.post(undo, follow=True)) == ["3 are taken back, ten a second."]
    [warning] = said(staff.post(undo, follow=True))

    assert warning.endswith("has been taken back already.")
    assert "Take it back" not in staff.get(FAILURES).content.decode()
    assert colleague("view_failure").post(undo).status_code == 403


def test_who_may_only_look_sees_the_groups_and_no_buttons(colleague):
    group, _ = group_of(3)
    browser = colleague("view_failure")
    page = browser.get(FAILURES).content.decode()

    assert "accounts.send_welcome" in page and "Retry all" not in page
    assert browser.post(GROUPS, group | {"decision": "retry"}).status_code == 403


def test_a_group_leads_to_its_own_failures(staff):
    group_of(2)
    delivery("dead", fingerprint="cafe", finished_at=timezone.now())

    found = staff.get(FAILURES, {"handler": "accounts.send_welcome", "kind": "f00d"})
    assert badges(found).count("Dead") == 2


# -- Handlers that are held back --------------------------------------------------------------

BRAKES = "/admin/notifications/failure/handlers/"
LETTERS = "notifications.send_letter"


def test_a_handler_is_paused_and_goes_on_by_a_button(staff, sam):
    paused = staff.post(BRAKES, {"handler": LETTERS, "brake": "pause", "reason": "moving house"}, follow=True)
    assert said(paused) == [f"{LETTERS} is paused. Its deliveries wait, and lose no try by it."]
    assert "moving house" in paused.content.decode()
    assert Brake.objects.get().paused_by == f"user:{sam.pk}"

    assert said(staff.post(BRAKES, {"handler": LETTERS, "brake": "resume"}, follow=True)) == [f"{LETTERS} goes on."]
    again = staff.post(BRAKES, {"handler": LETTERS, "brake": "resume"}, follow=True)
    assert said(again) == [f"Nothing held {LETTERS} back."]
    assert "Held back" not in again.content.decode()


@pytest.mark.parametrize("asked", [{"handler": "no.such", "brake": "pause"}, {"handler": LETTERS, "brake": "?"}, {}])
def test_what_is_no_handler_cannot_be_paused(staff, asked):
    assert said(staff.post(BRAKES, asked, follow=True)) == ["Nothing was changed: there is no such handler."]
    assert not Brake.objects.exists()


def test_a_handler_that_rests_says_why_and_until_when(staff):
    soon = timezone.now() + timedelta(seconds=40)
    Brake.objects.create(handler=LETTERS, fails=6, resting_until=soon, last_error="the mail server does not answer")
    page = staff.get(FAILURES).content.decode()

    assert "It failed 6 times alike: the mail server does not answer" in page
    assert "in 40 sec." in page or "in 39 sec." in page


# -- Queues -----------------------------------------------------------------------------------


QUEUES = "/admin/notifications/worker/queues/"


def pressed(staff, **form):
    page = staff.post(QUEUES, {"queue": "mail"} | form, follow=True).content.decode()
    return html.unescape(page), Queue.objects.filter(name="mail").first()


def test_a_queue_is_paused_limited_and_goes_on(staff, sam):
    said, mail = pressed(staff, do="pause")
    assert "mail is paused." in said
    assert mail.paused_by == f"user:{sam.pk}"

    said, mail = pressed(staff, do="limit", at_once="3")
    assert "3 of mail run at once." in said
    assert "0 waiting, 0 running, 3 at once" in said

    said, mail = pressed(staff, do="resume")
    assert (mail.paused_at, mail.at_once) == (None, 3)
    assert "mail has no limit any more." in pressed(staff, do="limit", at_once="")[0]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"do": "limit", "at_once": "many"}, "a number from 1 to 1000"),
        ({"do": "limit", "at_once": "0"}, "a number from 1 to 1000"),
        ({"do": "limit", "at_once": "9" * 30}, "a number from 1 to 1000"),
        ({"do": "pause", "queue": "post"}, "There is no queue post."),
        ({"do": "burn"}, "there is no button burn."),
        ({}, "there is no button without a name."),
    ],
)
def test_what_cannot_be_done_to_a_queue_is_said(staff, form, words):
    said, mail = pressed(staff, **form)

    assert f"Nothing was changed: {words}" in said or words in said
    assert mail is None


def test_who_may_not_change_queues_only_sees_them(colleague):
    browser = colleague("view_worker")
    page = browser.get("/admin/notifications/worker/").content.decode()

    assert "0 waiting, 0 running" in page
    assert QUEUES not in page
    assert browser.post(QUEUES, {"queue": "mail", "do": "pause"}).status_code == 403
