"""Sign-up by code, signing in, passwords, addresses and the second factor, as people meet them."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.events import EmailVerified
from accounts.models import CodeRequest, ResetRequest, User
from tests.accounts.people import (
    PASSWORD,
    code_in,
    code_of_app,
    is_in,
    letters,
    person,
    sign_in,
    signed_in,
    sure,
    with_app,
    without_tokens,
)

pytestmark = pytest.mark.django_db(transaction=True)
SIGN_UP = {"email": "ada@example.org", "name": "Ada", "password1": PASSWORD}


@pytest.fixture(autouse=True)
def nobody_has_tried():
    cache.clear()


# -- Sign-up --------------------------------------------------------------------------------------


def test_the_code_from_the_letter_verifies_the_address_and_signs_in(client, deliver_due, events):
    client.post("/accounts/signup/", SIGN_UP)
    assert letters("accounts/code") == []  # nothing was written inside the request
    deliver_due()

    answer = client.post("/accounts/confirm-email/", {"code": code_in(letters("accounts/code")[0])})

    assert (answer.status_code, is_in(client)) == (302, True)
    assert EmailAddress.objects.values_list("email", "verified", "primary").get() == ("ada@example.org", True, True)
    assert len(events.published(EmailVerified)) == 1
    assert CodeRequest.objects.count() == 0


def test_a_wrong_code_says_how_many_tries_are_left_and_the_third_ends_it(client, deliver_due):
    client.post("/accounts/signup/", SIGN_UP)
    deliver_due()

    pages = [client.post("/accounts/confirm-email/", {"code": "WRONGONE"}) for _ in range(3)]

    assert ["2 tries left" in pages[0].content.decode(), "1 try left" in pages[1].content.decode()] == [True, True]
    late = client.post("/accounts/confirm-email/", {"code": code_in(letters("accounts/code")[0])})
    assert (late.status_code, is_in(client)) == (302, False)


def test_who_has_an_account_hears_of_a_second_sign_up_by_letter_only(client, deliver_due):
    person()

    client.post("/accounts/signup/", SIGN_UP)
    deliver_due()

    assert [letter.to for letter in letters("accounts/known_already")] == ["ada@example.org"]
    assert letters("accounts/code") == letters("accounts/welcome") == []


def test_signing_up_again_and_again_fills_no_mailbox(deliver_due, settings):
    settings.ACCOUNT_RATE_LIMITS = False
    person()

    for _ in range(4):
        Client().post("/accounts/signup/", {**SIGN_UP, "email": "ADA@example.org"})
        deliver_due()

    assert len(letters("accounts/known_already")) == 1


def test_signing_in_before_the_address_is_verified_sends_a_new_code(deliver_due):
    User.objects.create_user("ada@example.org", PASSWORD)

    client, answer = sign_in()
    deliver_due()

    assert (answer.url, is_in(client)) == ("/accounts/confirm-email/", False)
    client.post("/accounts/confirm-email/", {"code": code_in(letters("accounts/code")[0])})
    assert is_in(client)


# -- Signing in -----------------------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer():
    person()

    pages = [sign_in(email=email, password="not the one")[1] for email in ("ada@example.org", "eve@example.org")]

    said = [without_tokens(page).replace("eve@", "ada@") for page in pages]
    assert [page.status_code for page in pages] == [200, 200]
    assert ("not correct" in said[0], said[0]) == (True, said[1])


def test_a_closed_account_answers_as_a_wrong_password_does():
    person(is_active=False)

    _, answer = sign_in()

    assert (answer.status_code, "not correct" in answer.content.decode()) == (200, True)


def test_a_session_gets_a_new_key_when_somebody_signs_in_and_is_gone_when_they_sign_out(client):
    person()
    client.get("/accounts/login/")
    client.session.save()
    before = client.session.session_key

    sign_in(client)
    within = client.session.session_key
    client.post("/accounts/logout/")

    assert before != within
    assert not Session.objects.filter(session_key=within).exists()


def test_many_wrong_passwords_stop_the_one_who_tries_and_nobody_else():
    person()
    stranger = Client(REMOTE_ADDR="203.0.113.9")

    tries = [sign_in(stranger, password=f"guess {n}")[1] for n in range(12)]
    _, right = sign_in(stranger)
    at_home, _ = sign_in(Client(REMOTE_ADDR="198.51.100.7"))

    checked = [page for page in tries if "not correct" in page.content.decode()]
    assert len(checked) == 5
    assert (right.status_code == 302, is_in(at_home)) == (False, True)


def test_tries_are_counted_in_the_database_so_all_processes_count_together(settings):
    assert settings.CACHES["default"]["BACKEND"] == "django.core.cache.backends.db.DatabaseCache"


def test_somewhere_else_is_not_where_one_goes_after_signing_in():
    person()

    _, answer = sign_in(next="https://evil.example/")

    assert answer.url == "/"


# -- Passwords ------------------------------------------------------------------------------------


def ask_for_link(deliver_due, **headers):
    Client().post("/accounts/password/reset/", {"email": "ada@example.org"}, **headers)
    deliver_due()
    text = letters("accounts/new_password")[-1].text
    return next(line for line in text.splitlines() if line.startswith("http"))


def follow(client, link):
    path = "/accounts/" + link.split("/accounts/")[1]
    return client.get(path, follow=True)


def test_the_link_from_the_letter_sets_a_new_password_once(deliver_due):
    person()
    link = ask_for_link(deliver_due)
    client = Client()

    page = follow(client, link)
    client.post(page.redirect_chain[-1][0], {"password1": "quite another one", "password2": "quite another one"})

    assert is_in(client)
    assert User.objects.get().check_password("quite another one")
    assert "no longer works" in follow(Client(), link).content.decode()
    deliver_due()
    assert [letter.to for letter in letters("accounts/changed")] == ["ada@example.org"]


def test_the_link_is_on_our_address_whatever_host_the_request_named(deliver_due, settings):
    settings.ALLOWED_HOSTS = ["*"]
    person()

    assert ask_for_link(deliver_due, HTTP_HOST="evil.example").startswith(settings.SITE_URL)


def test_the_token_leaves_the_address_before_the_page_is_shown(deliver_due):
    person()

    page = follow(Client(), ask_for_link(deliver_due))

    assert page.redirect_chain[-1][0].endswith("-set-password/")


def test_an_unknown_address_gets_the_same_answer_and_no_letter(deliver_due):
    person()

    answers = [Client().post("/accounts/password/reset/", {"email": f"{who}@example.org"}) for who in ("ada", "eve")]
    deliver_due()

    assert {(answer.status_code, answer.url) for answer in answers} == {(302, "/accounts/password/reset/done/")}
    assert [letter.to for letter in letters("accounts/new_password")] == ["ada@example.org"]
    assert ResetRequest.objects.count() == 0


def test_a_link_dies_with_a_change_of_the_password(deliver_due):
    user = person()
    link = ask_for_link(deliver_due)
    user.set_password("changed meanwhile")
    user.save()

    assert "no longer works" in follow(Client(), link).content.decode()


def test_a_link_is_good_for_an_hour(deliver_due, time_machine):
    person()
    link = ask_for_link(deliver_due)

    time_machine.move_to(timezone.now() + timedelta(minutes=61))

    assert "no longer works" in follow(Client(), link).content.decode()


def test_a_new_password_does_not_skip_the_second_factor(deliver_due):
    with_app(person())
    client = Client()

    page = follow(client, ask_for_link(deliver_due))
    answer = client.post(
        page.redirect_chain[-1][0], {"password1": "quite another one", "password2": "quite another one"}
    )

    assert (answer.url, is_in(client)) == ("/accounts/2fa/authenticate/", False)


def test_a_changed_password_ends_the_other_sessions_and_is_told_by_letter(deliver_due):
    user = person()
    here, there = signed_in(user), signed_in(user)

    here.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "quite another one", "password2": "quite another one"},
    )
    deliver_due()

    assert (is_in(here), is_in(there)) == (True, False)
    assert "the password was changed" in letters("accounts/changed")[0].text


# -- Another address ------------------------------------------------------------------------------


def test_a_change_of_address_asks_the_new_one_and_tells_both(deliver_due):
    user = person()
    client = sure(signed_in(user))

    client.post("/accounts/email/", {"email": "lovelace@example.org", "action_add": ""})
    deliver_due()
    code = code_in(letters("accounts/code", to="lovelace@example.org")[0])
    user.refresh_from_db()
    assert user.email == "ada@example.org"
    client.post("/accounts/confirm-email/", {"code": code})
    deliver_due()

    user.refresh_from_db()
    assert user.email == "lovelace@example.org"
    assert {letter.to for letter in letters("accounts/changed")} == {"ada@example.org", "lovelace@example.org"}


@pytest.mark.parametrize("verified", [True, False])
def test_nobody_takes_the_address_of_another_account_even_with_its_code(deliver_due, verified):
    person("eve@example.org")
    EmailAddress.objects.filter(email="eve@example.org").update(verified=verified)
    user = person()
    client = sure(signed_in(user))

    client.post("/accounts/email/", {"email": "eve@example.org", "action_add": ""})
    deliver_due()

    answer = client.post("/accounts/confirm-email/", {"code": code_in(letters("accounts/code")[0])}, follow=True)

    user.refresh_from_db()
    assert (user.email, answer.status_code) == ("ada@example.org", 200)
    assert "already registered" in answer.content.decode()


# -- The second factor ----------------------------------------------------------------------------


def test_the_code_of_the_app_is_asked_for_after_the_password():
    with_app(person())

    client, answer = sign_in()
    assert (answer.url, is_in(client)) == ("/accounts/2fa/authenticate/", False)

    client.post("/accounts/2fa/authenticate/", {"code": code_of_app()})
    assert is_in(client)


def test_a_code_opens_nothing_twice():
    with_app(person())
    code = code_of_app()
    browsers = [sign_in()[0] for _ in range(2)]

    for browser in browsers:
        browser.post("/accounts/2fa/authenticate/", {"code": code})

    assert [is_in(browser) for browser in browsers] == [True, False]


def at_the_start_of_a_code():
    """So that forty seconds later it is the one before, and still good."""
    return (time.time() // 30 + 1) * 30


SPELLINGS = ("{0}{1}", "{0} {1}", "{0}-{1}", " {0}{1}", "{0}{1}.", "{0}\t{1}")


def spelled(code, spelling):
    return spelling.format(code[:3], code[3:])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_nor_forty_seconds_later_however_it_is_spelled(spelling, time_machine):
    time_machine.move_to(at_the_start_of_a_code())
    with_app(person())
    code = code_of_app()
    browsers = [sign_in()[0] for _ in range(2)]

    browsers[0].post("/accounts/2fa/authenticate/", {"code": code})
    time_machine.shift(40)
    browsers[1].post("/accounts/2fa/authenticate/", {"code": spelled(code, spelling)})

    assert [is_in(browser) for browser in browsers] == [True, False]


def all_at_once(browsers, code):
    """Each with a spelling of its own."""
    ready = threading.Barrier(len(browsers))

    def give(browser, spelling):
        ready.wait()
        browser.post("/accounts/2fa/authenticate/", {"code": spelled(code, spelling)})
        connection.close()

    with ThreadPoolExecutor(len(browsers)) as pool:
        list(pool.map(give, browsers, SPELLINGS))
    return sum(map(is_in, browsers))


def test_of_many_with_one_code_at_once_one_is_let_in_and_forty_seconds_later_none(time_machine):
    time_machine.move_to(at_the_start_of_a_code())
    with_app(person())
    code = code_of_app()
    crowds = [[sign_in()[0] for _ in range(4)] for _ in range(2)]

    first = all_at_once(crowds[0], code)
    time_machine.shift(40)
    later = all_at_once(crowds[1], code)

    assert (first, later) == (1, 0)


def test_a_code_of_a_minute_ago_is_too_old():
    with_app(person())
    client, _ = sign_in()

    client.post("/accounts/2fa/authenticate/", {"code": code_of_app(steps_ago=3)})

    assert not is_in(client)


def test_guessing_codes_is_stopped():
    with_app(person())
    client, _ = sign_in()

    for n in range(12):
        client.post("/accounts/2fa/authenticate/", {"code": f"{n:06d}"})
    client.post("/accounts/2fa/authenticate/", {"code": code_of_app()})

    assert not is_in(client)


def test_an_app_is_set_up_with_a_code_of_its_own_and_recovery_codes_come_with_it(deliver_due):
    user = person()
    client = sure(signed_in(user))
    secret = client.get("/accounts/2fa/totp/activate/").context["form"].secret

    client.post("/accounts/2fa/totp/activate/", {"code": code_of_app(secret)})
    deliver_due()

    kept = Authenticator.objects.get(user=user, type="totp").data["secret"]
    assert secret not in kept
    assert Authenticator.objects.filter(user=user, type="recovery_codes").count() == 1
    assert any("codes of an app are asked for" in letter.text for letter in letters("accounts/changed"))
    assert client.get("/accounts/2fa/recovery-codes/").status_code == 200


def test_a_recovery_code_stands_in_for_the_app_once():
    user = person()
    with_app(user)
    code = RecoveryCodes.activate(user).get_unused_codes()[0]
    browsers = [sign_in()[0] for _ in range(2)]

    for browser in browsers:
        browser.post("/accounts/2fa/authenticate/", {"code": code})

    assert [is_in(browser) for browser in browsers] == [True, False]
    assert code not in str(Authenticator.objects.get(type="recovery_codes").data)


def test_staff_set_up_a_second_factor_before_anything_else(settings):
    settings.STAFF_NEED_SECOND_FACTOR = True
    user = person("staff@example.org", is_staff=True, is_superuser=True)
    client = signed_in(user)

    led = [client.get(path) for path in ("/admin/", "/", "/checkout/")]
    with_app(user)

    assert {(answer.status_code, answer.url) for answer in led} == {(302, "/accounts/2fa/")}
    assert client.get("/admin/").status_code == 200


def test_staff_keep_their_last_second_factor(settings):
    settings.STAFF_NEED_SECOND_FACTOR = True
    user = person("staff@example.org", is_staff=True)
    with_app(user)
    client, _ = sign_in(email=user.email)
    client.post("/accounts/2fa/authenticate/", {"code": code_of_app()})

    client.post("/accounts/2fa/totp/deactivate/")

    assert Authenticator.objects.filter(user=user, type="totp").exists()


def test_the_staff_pages_have_no_way_in_of_their_own(client):
    person("staff@example.org", is_staff=True, is_superuser=True)

    shown = client.get("/admin/login/?next=/admin/")
    posted = client.post("/admin/login/", {"username": "staff@example.org", "password": PASSWORD})

    assert {answer.status_code for answer in (shown, posted)} == {302}
    assert {answer.url.split("?")[0] for answer in (shown, posted)} == {"/accounts/login/"}
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("path", ["email/", "2fa/totp/activate/", "2fa/recovery-codes/generate/", "2fa/passkeys/add/"])
def test_who_changes_how_one_gets_in_says_once_more_who_they_are(path):
    client = signed_in(person())

    answer = client.post(f"/accounts/{path}", {"email": "lovelace@example.org", "action_add": ""})

    assert (answer.status_code, answer.url.split("?")[0]) == (302, "/accounts/reauthenticate/")


# -- Sessions -------------------------------------------------------------------------------------


def test_a_person_sees_their_sessions_and_ends_one():
    user = person()
    here, there = signed_in(user), signed_in(user)
    shown = here.get("/accounts/sessions/").context["sessions"]
    other = next(session for session in shown if session.session_key == there.session.session_key)

    here.post("/accounts/sessions/", {"session": other.pk})

    assert (len(shown), is_in(here), is_in(there)) == (2, True, False)


def test_nobody_ends_the_session_of_another_person():
    ada, eve = signed_in(person()), signed_in(person("eve@example.org"))
    victim = ada.get("/accounts/sessions/").context["sessions"][0]

    eve.post("/accounts/sessions/", {"session": victim.pk})

    assert is_in(ada)


@pytest.mark.parametrize(
    ("staff", "away"), [(False, timedelta(days=15)), (True, timedelta(hours=3))], ids=["customer", "staff"]
)
def test_a_session_that_nobody_used_for_long_is_over(staff, away, time_machine):
    user = person(is_staff=staff)
    client = signed_in(user)

    time_machine.move_to(timezone.now() + away)

    assert not is_in(client)


def test_a_session_ends_after_its_longest_time_however_busy_it_is(time_machine):
    user = person(is_staff=True)
    client = signed_in(user)
    start, busy = timezone.now(), []

    for hour in range(1, 14):
        time_machine.move_to(start + timedelta(hours=hour))
        busy.append(is_in(client))

    assert busy == [True] * 11 + [False] * 2


def test_the_pages_of_an_account_are_kept_by_no_cache():
    client = signed_in(person())

    kept = [client.get(path)["Cache-Control"] for path in ("/accounts/", "/accounts/api-keys/", "/accounts/sessions/")]

    assert ["no-store" in one for one in kept] == [True] * 3


def test_every_process_knows_which_letters_log_somebody_in():
    """Also one that has not shown a page of an account yet: staff would read the codes there."""
    asks = "import django; django.setup(); from notifications.mail import sealing; print(sorted(sealing._sealed))"
    ran = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "['accounts/code', 'accounts/new_password']"
