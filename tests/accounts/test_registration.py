"""Signing up: one row, one event, three handlers that know nothing of each other."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
from django.core import mail
from django.core.management import CommandError, ManagementUtility, call_command
from django.db import connection
from django.test import Client

from accounts import handlers, keys
from accounts.models import ApiKey, Profile, User
from accounts.registration import AlreadyRegistered, sign_up
from notifications.models import Letter, Subscriber
from notifications.pipeline.models import Delivery, Event
from tests.accounts.people import without_tokens
from tests.api.programs import Program, sent, staff

ADA = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada Lovelace", "newsletter": True}

AT_ONCE = 20  # with a connection each


@pytest.fixture
def desk(transactional_db):
    """A program that registers customers."""
    return Program(staff(), ["customers:write"])


def new_user():
    return User.objects.get(email="ada@example.org")


# -- Over the API -----------------------------------------------------------------------------


def test_a_person_is_registered_and_three_handlers_are_told(desk):
    answer = desk.post("accounts/", ADA)

    user = new_user()
    assert answer.status_code == 202
    assert (user.name, user.is_staff, user.is_superuser, user.check_password(ADA["password"])) == (
        "Ada Lovelace",
        False,
        False,
        True,
    )
    assert user.password.startswith("argon2$argon2id$")
    event = Event.objects.get(name="user.registered")
    assert (event.payload, event.correlation_id) == ({"user_id": user.pk, "newsletter": True}, answer["X-Request-ID"])
    assert set(event.deliveries.values_list("handler", flat=True)) == {
        "accounts.email_welcome",
        "accounts.make_profile",
        "accounts.enter_mailing_list",
    }


def test_the_welcome_the_profile_and_the_newsletter_follow_by_themselves(desk, deliver_due):
    desk.post("accounts/", ADA)

    deliver_due()

    user = new_user()
    subjects = {"Welcome to Waybill", "Do you want our newsletter?"}
    assert {(letter.to, letter.subject) for letter in Letter.objects.all()} == {(user.email, one) for one in subjects}
    assert [message.to for message in mail.outbox] == [[user.email]] * 2
    assert Profile.objects.get().display_name == "Ada Lovelace"
    assert Subscriber.objects.values_list("email", "name", "state").get() == (user.email, "Ada Lovelace", "asked")
    assert Delivery.objects.exclude(state="done").count() == 0


def test_one_handler_that_fails_holds_up_no_other(desk, deliver_due, monkeypatch):
    def broken(**_):
        raise ValueError("no template")

    monkeypatch.setattr(handlers, "queue_letter", broken)
    desk.post("accounts/", ADA)

    deliver_due()

    states = dict(Delivery.objects.filter(handler__startswith="accounts.").values_list("handler", "state"))
    assert states == {
        "accounts.email_welcome": "ready",
        "accounts.make_profile": "done",
        "accounts.enter_mailing_list": "done",
    }
    assert Profile.objects.count() == Subscriber.objects.count() == 1


def test_the_answer_is_the_same_for_an_address_that_is_known(desk):
    first = desk.post("accounts/", ADA)
    again = desk.post("accounts/", {**ADA, "email": "ADA@Example.org", "password": "quite another one"})

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert set(again.headers) == set(first.headers)
    assert new_user().check_password(ADA["password"])
    assert Event.objects.filter(name="user.registered").count() == 1


def test_a_known_address_costs_the_same_password_hash(desk, monkeypatch):
    hashed = []
    original = User.set_password
    monkeypatch.setattr(User, "set_password", lambda user, raw: (hashed.append(raw), original(user, raw)))

    for _ in range(2):
        desk.post("accounts/", ADA)

    assert hashed == [ADA["password"]] * 2


def test_a_hundred_registrations_of_one_address_at_once_are_one_user_and_one_welcome(desk, deliver_due, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # salted too, and a hundred are quick
    program = Program(desk.user)
    ready = threading.Barrier(AT_ONCE)

    def register(_):
        ready.wait()
        answers = [program.post("accounts/", ADA) for _ in range(100 // AT_ONCE)]
        connection.close()
        return [(answer.status_code, answer.content) for answer in answers]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(chain.from_iterable(pool.map(register, range(AT_ONCE))))
    deliver_due()

    assert (len(answers), len(set(answers)), answers[0][0]) == (100, 1, 202)
    assert User.objects.filter(email__iexact=ADA["email"]).count() == 1
    assert Event.objects.filter(name="user.registered").count() == 1
    assert [letter.to for letter in Letter.objects.filter(template="accounts/welcome")] == [ADA["email"]]


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_and_however_often_a_worker_dies_everything_is_made_once(desk, deliver_due, seed):
    desk.post("accounts/", ADA)

    deliver_due(seed=seed, die=0.3)

    assert (Profile.objects.count(), Subscriber.objects.count()) == (1, 1)
    assert sorted(Letter.objects.values_list("template", flat=True)) == ["accounts/welcome", "notifications/subscribe"]


def test_with_the_mail_server_and_all_workers_away_the_page_answers_and_all_comes_later_once(
    desk, settings, deliver_due, pass_time
):
    memory = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND, settings.EMAIL_PORT = "django.core.mail.backends.smtp.EmailBackend", 1
    assert sign_up_on_the_page(Client()).status_code == 302
    assert Letter.objects.count() == Profile.objects.count() == 0

    deliver_due()
    assert (set(Letter.objects.values_list("state", flat=True)), Profile.objects.count()) == ({"queued"}, 1)
    settings.EMAIL_BACKEND = memory
    for _ in range(4):
        pass_time(minutes=30)
        deliver_due()

    assert sorted(message.subject for message in mail.outbox) == [
        "Do you want our newsletter?",
        "Welcome to Waybill",
        "Your code for Waybill",
    ]
    assert Delivery.objects.exclude(state="done").count() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": None}, "email"),
        ({"email": "a\0@example.org"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password"}, "password"),
        ({"password": "ada@example.org"}, "password"),
        ({"password": 12345678901}, "password"),
        ({"password": "nul\0nul\0nul"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"name": "Ada\nBcc: eve@example.org"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"newsletter": "yes"}, "newsletter"),
        ({"newsletter": 1}, "newsletter"),
    ],
)
def test_a_bad_field_is_named_and_nobody_is_registered(desk, changes, field):
    answer = desk.post("accounts/", {**ADA, **changes})

    assert answer.status_code == 400
    assert {error["field"] for error in sent(answer)["errors"]} == {field}
    assert User.objects.count() == 1


def test_nobody_makes_themselves_staff(desk):
    desk.post("accounts/", {**ADA, "is_staff": True, "is_superuser": True, "id": 1, "date_joined": "2000-01-01"})

    assert (new_user().is_staff, new_user().is_superuser) == (False, False)


@pytest.mark.parametrize("length", [8, 64, 256])
def test_a_password_of_any_characters_counts_to_its_end(db, length):
    password = ("päß wörd 🔑 " * 40)[: length - 1] + "!"

    user = sign_up(email="ada@example.org", password=password, name="", newsletter=False)

    assert (user.check_password(password), user.check_password(password[:-1])) == (True, False)


def test_registering_needs_a_key_with_the_scope(db):
    assert Program().post("accounts/", ADA).status_code == 401
    answer = Program(staff(), ["orders:write"]).post("accounts/", ADA)
    assert (answer.status_code, sent(answer)["detail"]) == (403, "This key lacks the scope customers:write.")


# -- The verb ---------------------------------------------------------------------------------


def test_an_address_in_other_capitals_is_taken(transactional_db):
    sign_up(email="ada@example.org", password="correct horse", name="", newsletter=False)

    with pytest.raises(AlreadyRegistered):
        sign_up(email="Ada@Example.ORG", password="correct horse", name="", newsletter=False)

    names = Event.objects.order_by("pk").values_list("name", flat=True)
    assert (User.objects.count(), list(names)) == (1, ["user.registered", "user.registration_repeated"])


# -- On the page ------------------------------------------------------------------------------


def sign_up_on_the_page(client, **changes):
    form = {"email": "ada@example.org", "name": "Ada", "password1": "correct horse battery", "newsletter": "on"}
    return client.post("/accounts/signup/", {**form, **changes})


def test_the_page_registers_through_the_same_verb(client, transactional_db):
    answer = sign_up_on_the_page(client)

    assert (answer.status_code, new_user().name) == (302, "Ada")
    event = Event.objects.get(name="user.registered")
    assert event.payload == {"user_id": new_user().pk, "newsletter": True}
    assert "_auth_user_id" not in client.session  # not before the code from the letter


def test_the_page_asks_for_a_name_and_the_newsletter(client, db):
    page = client.get("/accounts/signup/").content.decode()

    assert all(f'name="{name}"' in page for name in ("email", "name", "password1", "newsletter"))


def test_the_page_answers_alike_for_an_address_that_is_known(transactional_db, settings):
    settings.ACCOUNT_RATE_LIMITS = False
    visitors = [Client(), Client()]

    answers = [sign_up_on_the_page(visitor) for visitor in visitors]
    wrong = [visitor.post("/accounts/confirm-email/", {"code": "WRONGCODE"}) for visitor in visitors]

    assert {(answer.status_code, answer.url) for answer in answers} == {(302, "/accounts/confirm-email/")}
    assert set(answers[0].headers) == set(answers[1].headers)
    assert set(answers[0].cookies) == set(answers[1].cookies)
    assert [answer.status_code for answer in wrong] == [200, 200]
    assert without_tokens(wrong[0]) == without_tokens(wrong[1])
    assert User.objects.count() == 1


# -- API keys on the command line -------------------------------------------------------------


def apikey(*arguments):
    out = io.StringIO()
    call_command("apikey", "create", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


def test_a_key_made_on_the_command_line_is_recognised(db):
    user = staff()

    plain = apikey("STAFF@example.org", "--scopes", "orders:read,events:read")

    key = keys.recognise(plain=plain)
    assert (key.user, key.scopes, key.name) == (user, ["events:read", "orders:read"], "command line")
    assert plain not in str(list(ApiKey.objects.values()))


def test_the_facts_of_a_new_key_are_printed_as_json(db):
    staff()

    facts = json.loads(apikey("staff@example.org", "--scopes", "orders:read", "--name", "till", "--json"))

    assert keys.recognise(plain=facts.pop("key")) is not None
    assert facts == {"email": "staff@example.org", "name": "till", "scopes": ["orders:read"]}


def test_a_key_for_nobody_is_an_error_that_names_the_address(db):
    with pytest.raises(CommandError, match=r"nobody@example\.org"):
        apikey("nobody@example.org", "--scopes", "orders:read")


def test_an_unknown_scope_is_named_with_those_there_are(db):
    staff()

    with pytest.raises(CommandError, match=r"orders:all.*orders:read.*customers:write"):
        apikey("staff@example.org", "--scopes", "orders:read,orders:all")

    assert ApiKey.objects.count() == 0


def test_a_mistake_on_the_command_line_is_one_sentence(db, capsys):
    with pytest.raises(SystemExit):
        ManagementUtility(["manage.py", "apikey", "create", "a@example.org", "--scopes", "all"]).execute()

    assert capsys.readouterr().err.startswith("CommandError: No scope is called all. There are: orders:read,")
