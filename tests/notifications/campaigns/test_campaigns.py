"""A campaign reaches everybody on the list once, whatever dies, and nobody who is not on it."""

import smtplib
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from notifications.campaigns import campaigns, mailing_list
from notifications.campaigns.campaigns import NotNow
from notifications.campaigns.progress import progress
from notifications.mail.letters import note_bounce
from notifications.models import Campaign, Delivery, Letter, Recipient, Subscriber

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
        return mailing_list.join(email=email, name="Ada")


def test_asked_for_confirmed_and_left(client, deliver_due):
    ask()
    deliver_due()
    [letter] = mail.outbox
    asked = Subscriber.objects.get()
    assert (letter.to, asked.state) == (["ada@example.org"], S.ASKED)
    link = reverse("newsletter_confirm", args=[asked.token])
    assert link in letter.body

    client.get(link)
    assert Subscriber.objects.get().state == S.ASKED  # a scanner of mail has followed it
    assert "You are on the list" in client.post(link).content.decode()
    assert "You are on the list" in client.post(link).content.decode()
    assert Subscriber.objects.get().state == S.CONFIRMED

    leave = reverse("newsletter_leave", args=[asked.token])
    client.get(leave)
    assert Subscriber.objects.get().state == S.CONFIRMED
    assert "No more letters" in client.post(leave, {"List-Unsubscribe": "One-Click"}).content.decode()
    assert Subscriber.objects.get().state == S.LEFT
    assert "no longer of use" in client.post(link).content.decode()


def test_one_click_needs_no_page_of_ours(settings):
    """A mail program has no token of ours but the one in the address (RFC 8058)."""
    [reader] = subscribers(1)
    robot = Client(enforce_csrf_checks=True)

    assert robot.post(reverse("newsletter_leave", args=[reader.token])).status_code == 200
    assert robot.post(reverse("newsletter_confirm", args=[reader.token])).status_code == 403
    assert Subscriber.objects.get().state == S.LEFT


@pytest.mark.parametrize("token", ["x", "a" * 64, "%00"])
def test_an_unknown_token_opens_nothing(client, token):
    assert client.post(f"/newsletter/leave/{token}/").status_code in (400, 404)


def test_nobodys_mailbox_is_filled_with_our_question():
    for _ in range(5):
        ask()
    assert Letter.objects.count() == 1

    Subscriber.objects.update(asked_at=timezone.now() - timedelta(days=2))
    ask("ADA@example.org")

    assert (Letter.objects.count(), Subscriber.objects.count()) == (2, 1)


@pytest.mark.parametrize("state", [S.LEFT, S.BOUNCED, S.COMPLAINED])
def test_who_asks_again_is_asked_again(state):
    subscribers(1, state=state, ended_at=timezone.now())

    ask("reader-0@example.com")

    assert Subscriber.objects.get().state == S.ASKED
    assert Letter.objects.count() == 1


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
    leave = f"{settings.SITE_URL.rstrip('/')}/newsletter/leave/{reader.token}/"
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


def test_no_more_than_the_rate_in_a_step(spring, deliver_due, pass_time):
    subscribers(25)
    campaigns.start(spring)

    deliver_due()
    assert Letter.objects.count() == 10  # 600 a minute, for a second
    pass_time(seconds=1)
    deliver_due()

    assert Letter.objects.count() == 20


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
    """A mail server that knows no reader-1."""

    def send_messages(self, messages):
        for message in messages:
            if "reader-1@example.com" in message.to:
                raise smtplib.SMTPRecipientsRefused({message.to[0]: (550, b"no such mailbox")})
        return super().send_messages(messages)


def test_an_address_that_is_refused_leaves_the_list_and_is_nobodys_failure(spring, to_the_end, settings):
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    subscribers(3)

    campaigns.start(spring)
    to_the_end(spring)

    assert Subscriber.objects.get(email="reader-1@example.com").state == S.BOUNCED
    assert (progress(spring)["bounced"], progress(spring)["sent"]) == (1, 2)
    assert not Delivery.objects.dead().exists()


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


def test_letters_that_died_are_tried_again_by_a_button(client, staff, spring, deliver_due, to_the_end):
    staff.user_permissions.add(Permission.objects.get(codename="send_campaign"))
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
