"""A campaign reaches everybody on the list once, whatever dies, and nobody who is not on it."""

import re
import smtplib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.cache import cache
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from notifications.admin.campaigns import CampaignAdmin
from notifications.campaigns import campaigns, mailing_list
from notifications.campaigns.campaigns import NotNow
from notifications.campaigns.progress import progress
from notifications.mail.letters import note_bounce, resend
from notifications.models import Campaign, Delivery, Letter, Recipient, Subscriber
from notifications.pipeline import brakes
from notifications.views import newsletter

pytestmark = pytest.mark.django_db(transaction=True)
S = Subscriber.State


def subscribers(count, **facts):
    state = {"state": S.CONFIRMED, "confirmed_at": timezone.now(), **facts}
    return [
        Subscriber.objects.create(email=f"reader-{i}@example.com", name=f"Reader {i}", **state) for i in range(count)
    ]


@pytest.fixture
def spring():
    return Campaign.objects.create(
        name="spring", subject="Spring, {name}", text="Dear {name},\n\nmugs.", per_minute=600
    )


@pytest.fixture
def to_the_end(deliver_due, pass_time):
    def run(campaign, **mishaps):
        for _ in range(60):
            deliver_due(**mishaps)
            pass_time(seconds=60)
            campaign.refresh_from_db()
            if campaign.state == Campaign.State.DONE and not Delivery.objects.filter(state="ready").exists():
                return
        raise AssertionError(f"{campaign} never came to its end: {progress(campaign)}")

    return run


# -- the mailing list --------------------------------------------------------------------------


def ask(email="Ada@Example.org"):
    with transaction.atomic():
        mailing_list.join(email=email, name="Ada")


@pytest.fixture
def the_link(deliver_due):
    """Where the last question's link leads."""

    def read():
        deliver_due()
        [link] = re.findall(r"/newsletter/confirm/\S+", mail.outbox[-1].body)
        return link

    return read


def test_asked_for_confirmed_and_left(client, the_link):
    ask()
    link = the_link()
    reader = Subscriber.objects.get()
    assert (mail.outbox[0].to, reader.state) == (["ada@example.org"], S.ASKED)

    client.get(link)
    assert Subscriber.objects.get().state == S.ASKED  # a scanner of mail has followed it
    for _ in range(2):
        assert "You are on the list" in client.post(link).content.decode()
    assert Subscriber.objects.get().state == S.CONFIRMED

    leave = reverse("newsletter_leave", args=[reader.token])
    client.get(leave)
    assert Subscriber.objects.get().state == S.CONFIRMED
    assert "No more letters" in client.post(leave, {"List-Unsubscribe": "One-Click"}).content.decode()
    assert Subscriber.objects.get().state == S.LEFT
    assert "no longer of use" in client.post(link).content.decode()
    assert Subscriber.objects.get().state == S.LEFT


def test_who_was_forwarded_a_newsletter_cannot_put_its_reader_back(client):
    [reader] = subscribers(1)
    mailing_list.leave(reader)

    client.post(reverse("newsletter_confirm", args=[reader.token]))

    assert Subscriber.objects.get().state == S.LEFT


def test_only_the_last_question_can_be_answered(client, the_link):
    ask()
    first = the_link()
    Subscriber.objects.update(asked_at=timezone.now() - timedelta(days=2))
    ask()
    second = the_link()

    assert "no longer of use" in client.post(first).content.decode()
    assert "You are on the list" in client.post(second).content.decode()


def test_the_form_answers_the_same_for_every_address(client):
    cache.clear()
    subscribers(1)

    for address in ("reader-0@example.com", "new@example.com"):
        assert "Look into your mailbox" in client.post("/newsletter/", {"email": address}).content.decode()

    assert [letter.to for letter in Letter.objects.all()] == ["new@example.com"]
    assert "Enter a valid" in client.post("/newsletter/", {"email": "nonsense"}).content.decode()


def test_one_visitor_cannot_ask_the_whole_world(client):
    cache.clear()
    for i in range(newsletter.ASKED_AN_HOUR + 5):
        client.post("/newsletter/", {"email": f"stranger-{i}@example.com"})

    assert Letter.objects.count() == newsletter.ASKED_AN_HOUR


def ask_for_the_newsletter(n):
    Client().post("/newsletter/", {"email": f"stranger-{n}@example.com"})
    connection.close()


def test_nor_with_many_questions_at_once():
    cache.clear()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask_for_the_newsletter, range(newsletter.ASKED_AN_HOUR * 2)))

    assert Letter.objects.count() == newsletter.ASKED_AN_HOUR


def test_the_limit_holds_for_an_hour_and_no_longer(time_machine):
    cache.clear()
    started = timezone.now()
    for n in range(newsletter.ASKED_AN_HOUR):
        ask_for_the_newsletter(n)

    counts = []
    for minutes in (6, 55, 61):
        time_machine.move_to(started + timedelta(minutes=minutes))
        ask_for_the_newsletter(100 + minutes)
        counts.append(Letter.objects.count() - newsletter.ASKED_AN_HOUR)

    assert counts == [0, 0, 1]


def test_one_click_needs_no_page_of_ours(settings):
    """A mail program has no token of ours but the one in the address (RFC 8058)."""
    [reader] = subscribers(1)
    robot = Client(enforce_csrf_checks=True)

    assert robot.post(reverse("newsletter_leave", args=[reader.token])).status_code == 200
    assert robot.post(reverse("newsletter_confirm", args=["x"])).status_code == 403
    assert Subscriber.objects.get().state == S.LEFT


@pytest.mark.parametrize("token", ["x", "a" * 64, "%00"])
def test_an_unknown_token_opens_nothing(client, token):
    assert client.post(f"/newsletter/leave/{token}/").status_code in (400, 404)


def test_nobodys_mailbox_is_filled_with_our_question():
    for _ in range(5):
        ask()
    mailing_list.leave(Subscriber.objects.get())
    ask()
    assert Letter.objects.count() == 1

    Subscriber.objects.update(asked_at=timezone.now() - timedelta(days=2))
    ask("ADA@example.org")

    assert (Letter.objects.count(), Subscriber.objects.count()) == (2, 1)


@pytest.mark.parametrize("state", [S.LEFT, S.BOUNCED, S.COMPLAINED])
def test_who_asks_again_is_asked_again_and_nothing_changes_until_they_say_yes(client, the_link, state):
    subscribers(1, state=state, ended_at=timezone.now(), asked_at=timezone.now() - timedelta(days=2))

    ask("reader-0@example.com")
    link = the_link()
    before = Subscriber.objects.values_list("state", "name").get()
    client.post(link)

    assert before == (state, "Reader 0")
    assert Subscriber.objects.get().state == S.CONFIRMED


def test_a_complaint_is_not_forgotten_by_a_later_bounce():
    [reader] = subscribers(1)
    mailing_list.note_complaint(reader.email)
    mailing_list.note_bounce(reader.email)
    mailing_list.leave(reader)

    assert Subscriber.objects.get().state == S.COMPLAINED


# -- the campaign ------------------------------------------------------------------------------


def test_everybody_on_the_list_gets_one_letter(spring, to_the_end):
    subscribers(25)
    Subscriber.objects.filter(email__in=["reader-3@example.com", "reader-4@example.com"]).update(
        state=S.LEFT, ended_at=timezone.now()
    )
    Subscriber.objects.create(email="asked@example.com")

    campaigns.start(spring)
    to_the_end(spring)

    assert len(mail.outbox) == len({message.to[0] for message in mail.outbox}) == 23
    assert {"reader-3@example.com", "asked@example.com"} & {message.to[0] for message in mail.outbox} == set()
    assert progress(spring) | {"name": ""} == {
        "name": "",
        "state": "done",
        "total": 23,
        "written": 23,
        "sent": 23,
        "bounced": 0,
        "skipped": 0,
        "failed": 0,
        "left": 0,
    }


def test_the_letter_names_its_reader_and_can_be_left_with_one_click(spring, to_the_end, settings):
    [reader] = subscribers(1)

    campaigns.start(spring)
    to_the_end(spring)

    [letter] = mail.outbox
    leave = f"{settings.SITE_URL}/newsletter/leave/{reader.token}/"
    assert letter.subject == "Spring, Reader 0"
    assert "Dear Reader 0," in letter.body
    assert leave in letter.body
    assert letter.extra_headers["List-Unsubscribe"] == f"<{leave}>"
    assert letter.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_words_are_words_and_no_template(spring, to_the_end):
    subscribers(
        1,
    )
    Subscriber.objects.update(name="<b>{{ settings.SECRET_KEY }}</b>\r\nBcc: all@example.com")
    Campaign.objects.update(text="{% load x %} {name} {0.__class__}", subject="Hi {name}")
    spring.refresh_from_db()

    campaigns.start(spring)
    to_the_end(spring)

    [letter] = mail.outbox
    assert letter.subject == "Hi <b>{{ settings.SECRET_KEY }}</b> Bcc: all@example.com"
    assert "{% load x %}" in letter.body
    assert "<b>" not in letter.alternatives[0].content


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_it_goes_on_with_the_next(spring, to_the_end, seed):
    subscribers(40)

    campaigns.start(spring)
    to_the_end(spring, seed=seed, die=0.3)

    rows = Recipient.objects.select_related("letter")
    assert len({row.letter.message_id for row in rows}) == rows.count() == Letter.objects.count() == 40
    assert {row.letter.state for row in rows} == {"sent"}
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 40


@pytest.mark.parametrize(
    ("per_minute", "pace"), [(1, (1, 60)), (30, (1, 2)), (90, (1, 60 / 90)), (600, (10, 1)), (6000, (100, 1))]
)
def test_no_more_than_the_rate(per_minute, pace):
    assert campaigns.pace(per_minute) == pytest.approx(pace)


def test_a_step_writes_no_more_than_its_share(spring, deliver_due, pass_time):
    subscribers(25)
    campaigns.start(spring)

    deliver_due()
    assert Letter.objects.count() == 10  # 600 a minute, for a second
    pass_time(seconds=1)
    deliver_due()

    assert Letter.objects.count() == 20


def test_letters_that_cannot_be_posted_do_not_pile_up(spring, deliver_due, pass_time):
    subscribers(100)
    brakes.pause("notifications.send_letter", by="person", reason="")
    campaigns.start(spring)

    for _ in range(10):
        deliver_due()
        pass_time(seconds=1)

    assert Letter.objects.count() == campaigns.MOST_WAITING
    brakes.resume("notifications.send_letter")


def test_many_steps_with_a_failure_now_and_then_do_not_bury_it(spring, deliver_due, pass_time, to_the_end):
    subscribers(150)
    campaigns.start(spring)

    for _ in range(14):
        deliver_due(fail={"notifications.carry_on_campaign": 1})
        pass_time(seconds=60)
        deliver_due()
        pass_time(seconds=60)
    to_the_end(spring)

    assert len(mail.outbox) == 150
    assert not Delivery.objects.dead().exists()


def test_a_long_name_does_not_stop_those_behind(spring, to_the_end):
    subscribers(3)
    Subscriber.objects.filter(email="reader-0@example.com").update(name="N" * 120)
    Campaign.objects.update(subject="{name}, spring is here. Come, {name}! And bring {name}.")
    spring.refresh_from_db()

    campaigns.start(spring)
    to_the_end(spring)

    assert len(mail.outbox) == 3


def test_paused_it_waits_and_goes_on_where_it_stopped(spring, deliver_due, pass_time, to_the_end):
    subscribers(25)
    campaigns.start(spring)
    deliver_due()

    campaigns.pause(spring)
    for _ in range(3):
        pass_time(seconds=60)
        deliver_due()
    assert Letter.objects.count() == 10
    campaigns.resume(spring)
    to_the_end(spring)

    assert len({message.to[0] for message in mail.outbox}) == len(mail.outbox) == 25


def test_resumed_at_once_it_has_one_driver(spring, deliver_due, pass_time):
    subscribers(60)
    campaigns.start(spring)
    deliver_due()
    campaigns.pause(spring)
    campaigns.resume(spring)  # the delivery from before still waits

    pass_time(seconds=1)
    deliver_due()

    assert Letter.objects.count() == 20


def test_who_leaves_meanwhile_gets_none(spring, deliver_due, to_the_end):
    readers = subscribers(25)
    campaigns.start(spring)
    deliver_due()

    mailing_list.leave(readers[20])
    to_the_end(spring)

    assert readers[20].email not in {message.to[0] for message in mail.outbox}
    assert progress(spring)["skipped"] == 1


@pytest.mark.parametrize("end", ["leave", "complain"])
def test_who_leaves_after_it_was_written_gets_none_either(spring, deliver_due, pass_time, to_the_end, end):
    readers = subscribers(3)
    brakes.pause("notifications.send_letter", by="person", reason="")
    campaigns.start(spring)
    deliver_due()
    assert Letter.objects.count() == 3

    if end == "leave":
        mailing_list.leave(readers[1])
    else:
        mailing_list.note_complaint(readers[1].email)
    brakes.resume("notifications.send_letter")
    to_the_end(spring)

    assert readers[1].email not in {message.to[0] for message in mail.outbox}
    assert (progress(spring)["skipped"], progress(spring)["sent"]) == (1, 2)


def test_send_again_does_not_write_to_who_has_left(spring, deliver_due, to_the_end):
    [reader] = subscribers(1)
    campaigns.start(spring)
    to_the_end(spring)
    mailing_list.leave(reader)

    with transaction.atomic():
        again = resend(Letter.objects.get(), key="x")
    deliver_due()

    again.refresh_from_db()
    assert (again.state, len(mail.outbox)) == ("withdrawn", 1)


def test_who_joins_after_the_start_waits_for_the_next(spring, deliver_due, to_the_end):
    subscribers(15)
    campaigns.start(spring)
    deliver_due()
    Subscriber.objects.create(email="late@example.com", state=S.CONFIRMED, confirmed_at=timezone.now())

    to_the_end(spring)

    assert progress(spring)["total"] == 15


def test_an_empty_list_is_done_at_once(spring, to_the_end):
    campaigns.start(spring)
    to_the_end(spring)

    assert progress(spring)["total"] == 0


def test_what_cannot_be_is_refused(spring, to_the_end):
    with pytest.raises(NotNow, match="spring is not running"):
        campaigns.pause(spring)
    with pytest.raises(NotNow, match="spring is not paused"):
        campaigns.resume(spring)
    campaigns.start(spring)
    with pytest.raises(NotNow, match="spring is not draft"):
        campaigns.start(spring)


def test_the_database_refuses_a_second_row_for_one_reader(spring):
    [reader] = subscribers(1)
    Recipient.objects.create(campaign=spring, subscriber=reader)

    with pytest.raises(IntegrityError):
        Recipient.objects.create(campaign=spring, subscriber=reader)


# -- bounces -----------------------------------------------------------------------------------


class Refusing(EmailBackend):
    """A mail server that refuses some readers, with `says`."""

    says = b"550 no such mailbox"
    who = ("reader-1@example.com",)

    def send_messages(self, messages):
        for message in messages:
            if message.to[0] in self.who or "all" in self.who:
                code, _, words = self.says.partition(b" ")
                raise smtplib.SMTPRecipientsRefused({message.to[0]: (int(code), words)})
        return super().send_messages(messages)


@pytest.fixture
def refusing(settings, monkeypatch):
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"

    def answer(says, who=Refusing.who):
        monkeypatch.setattr(Refusing, "says", says)
        monkeypatch.setattr(Refusing, "who", who)

    return answer


@pytest.mark.parametrize("says", [b"550 no such mailbox", b"550 5.1.1 user unknown", b"553 5.1.3 bad address syntax"])
def test_an_address_that_is_refused_leaves_the_list_and_is_nobodys_failure(spring, to_the_end, refusing, says):
    refusing(says)
    subscribers(3)

    campaigns.start(spring)
    to_the_end(spring)

    assert Subscriber.objects.get(email="reader-1@example.com").state == S.BOUNCED
    assert (progress(spring)["bounced"], progress(spring)["sent"]) == (1, 2)
    assert not Delivery.objects.dead().exists()


@pytest.mark.parametrize(
    "says",
    [
        b"554 5.7.1 Relay access denied",
        b"550 5.7.1 blocked using a list",
        b"550 5.1.8 Sender address rejected",
        b"552 5.2.2 mailbox full",
        b"554 no",
    ],
)
def test_a_server_that_dislikes_us_empties_no_list(spring, deliver_due, refusing, says):
    refusing(says, who=("all",))
    subscribers(3)

    campaigns.start(spring)
    deliver_due()

    assert {one.state for one in Subscriber.objects.all()} == {S.CONFIRMED}
    assert progress(spring)["failed"] == 3


def test_when_many_bounce_it_pauses_until_a_person_has_looked(spring, deliver_due, pass_time, to_the_end, refusing):
    refusing(b"550 no such mailbox", who=("all",))
    subscribers(60)
    campaigns.start(spring)

    for _ in range(10):
        deliver_due()
        pass_time(seconds=1)

    spring.refresh_from_db()
    assert (spring.state, spring.note) == ("paused", campaigns.TOO_MANY_BOUNCED)
    assert Letter.objects.count() <= 40
    refusing(b"250 ok", who=())
    campaigns.resume(spring)
    to_the_end(spring)
    assert progress(spring)["left"] == 0


def test_a_report_that_comes_later_ends_it_too(spring, to_the_end, deliver_due):
    subscribers(1)
    campaigns.start(spring)
    to_the_end(spring)

    for _ in range(2):
        note_bounce(Letter.objects.get(), code="5.1.1", for_good=True)
    deliver_due()

    assert Subscriber.objects.get().state == S.BOUNCED
    assert progress(spring)["bounced"] == 1


# -- the command and the page ------------------------------------------------------------------


def run(*words):
    out = StringIO()
    call_command("campaign", *words, stdout=out)
    return out.getvalue()


def test_the_command(tmp_path, to_the_end):
    (tmp_path / "words").write_text("Dear {name}")
    subscribers(2)

    run("create", "autumn", "--subject", "Autumn", "--text", str(tmp_path / "words"))
    assert "state running" in run("send", "autumn")
    assert "state paused" in run("pause", "autumn")
    run("send", "autumn")
    to_the_end(Campaign.objects.get())
    assert '"sent": 2' in run("show", "autumn", "--json")
    with pytest.raises(CommandError, match="autumn is not draft"):
        run("send", "autumn")
    with pytest.raises(CommandError, match=r"There is no campaign 'winter'\. There are: autumn"):
        run("send", "winter")
    with pytest.raises(CommandError, match=r"--text: .*No such file"):
        run("create", "x", "--subject", "x", "--text", "/nowhere")
    with pytest.raises(CommandError, match="name: "):
        run("create", "no slug", "--subject", "x", "--text", str(tmp_path / "words"))


@pytest.fixture
def staff(client):
    user = User.objects.create_user("boss@example.com", "a pass phrase", is_staff=True)
    names = ["view_campaign", "add_campaign", "change_campaign", "view_subscriber"]
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return user


def test_written_and_sent_in_the_admin(client, staff, to_the_end):
    subscribers(3)
    asked = {"name": "mugs", "subject": "Mugs", "text": "Mugs!", "per_minute": 60}
    answer = client.post(reverse("admin:notifications_campaign_add"), asked)
    made = Campaign.objects.get()
    watch, press = (reverse(f"admin:notifications_campaign_{verb}", args=[made.pk]) for verb in ("watch", "press"))
    assert answer.headers["Location"] == watch
    assert "3 addresses" in client.get(watch).content.decode()
    assert client.post(press, {"do": "start"}).status_code == 403

    staff.user_permissions.add(Permission.objects.get(codename="send_campaign"))
    client.post(press, {"do": "start"})
    client.post(press, {"do": "start"})
    change = reverse("admin:notifications_campaign_change", args=[made.pk])
    assert client.get(change).headers["Location"] == watch
    assert client.post(change, {**asked, "subject": "Other"}).status_code in (302, 403)
    client.post(press, {"do": "pause"})
    client.post(press, {"do": "resume"})
    to_the_end(made)

    made.refresh_from_db()
    assert (made.subject, len(mail.outbox)) == ("Mugs", 3)
    assert ">3<" in client.get(watch).content.decode()
    assert client.get(reverse("admin:notifications_subscriber_changelist")).status_code == 200


def test_a_draft_that_was_started_meanwhile_is_not_written_over(client, staff, spring, monkeypatch):
    """Between the form's look at the state and its saving, somebody else presses Start."""
    subscribers(3)
    save = CampaignAdmin.save_model

    def started_first(self, request, obj, form, change):
        campaigns.start(Campaign.objects.get())
        save(self, request, obj, form, change)

    monkeypatch.setattr(CampaignAdmin, "save_model", started_first)
    asked = {"name": "spring", "subject": "Other", "text": "Other", "per_minute": 60}
    client.post(reverse("admin:notifications_campaign_change", args=[spring.pk]), asked)

    spring.refresh_from_db()
    assert (spring.state, spring.subject) == ("running", "Spring, {name}")


def test_letters_that_died_are_tried_again_by_a_button(client, staff, spring, deliver_due, to_the_end):
    staff.user_permissions.add(*Permission.objects.filter(codename__in=["send_campaign", "decide_failure"]))
    subscribers(3)
    campaigns.start(spring)
    deliver_due(fail={"notifications.send_letter": 3})
    Delivery.objects.filter(handler="notifications.send_letter").update(
        state="dead", finished_at=timezone.now(), fingerprint="x"
    )
    assert progress(spring)["failed"] == 3

    client.post(reverse("admin:notifications_campaign_press", args=[spring.pk]), {"do": "retry"})
    to_the_end(spring)

    assert len(mail.outbox) == 3
