"""What holds for every address of the site: no forged forms, no GET that changes anything, headers and cookies.

The world and the addresses are those of tests/test_authorisation.py: a new page is in here without a word.
"""

import json
import re
import subprocess
import sys

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.rig import CHECKOUT
from tests.test_authorisation import example, known, people, routes, visitors

__all__ = ["known", "people"]

# No browser's form comes here, so no cookie of a visitor's counts: the sender shows who it is by other means.
NO_FORMS = {
    "webhooks/stripe/": "the bank signs what it sends",
    "newsletter/leave/<str:token>/": "a mail program presses it; the token is the right to do so",
    "api/": "a key, which no browser sends by itself",
    "api/<path:rest>": "a key",
    "api/schema/": "only read",
    "api/docs/": "only read",
}
# What a GET may write, and why.
WRITTEN = {
    "django_session": "the visitor's own",
    "usersessions_usersession": "when a session was seen last",
    "accounts_cacheentry": "tries that are counted, and challenges",
    "notifications_auditentry": "that somebody looked",
    "notifications_auditorigin": "from where",
}
# Which of a production shop's settings say how it answers browsers.
SAID_TO_BROWSERS = ("SECURE_", "SESSION_COOKIE_", "CSRF_COOKIE_", "LANGUAGE_COOKIE_", "X_FRAME_")
TELL = """
import json, sys
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in dir(settings) if name.startswith(tuple(sys.argv[1:]))}))
"""
HEADERS = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ANSWERED = re.compile(r'^\W*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)')


@pytest.fixture(autouse=True)
def nobody_has_tried(db):
    cache.clear()


def answers(people, known, method, *, who, only="", **client_options):
    """(route, answer, queries) of each address, each asked in a world that is put back afterwards."""
    cookies = visitors(people)[who]
    for route in routes():
        if route.startswith("api/v1/") or not route.startswith(only):
            continue
        client = Client(raise_request_exception=False, **client_options)
        client.cookies.load(cookies)
        world = transaction.atomic()
        world._from_testcase = True
        with world, CaptureQueriesContext(connection) as queries:
            answer = client.generic(method, example(route, known), secure="headers" in client_options)
            transaction.set_rollback(True)
        yield route, answer, [query["sql"] for query in queries]


def test_no_form_of_another_site_is_taken(people, known):
    """Its owner is signed in, and staff with every right on staff pages; only the token is missing."""
    taken = set()
    for who in ("owner", "admin"):
        for route, answer, _ in answers(people, known, "POST", who=who, enforce_csrf_checks=True):
            if route.startswith("admin/") == (who == "admin") and answer.status_code != 403:
                taken.add(route)

    assert taken == set(NO_FORMS)


@pytest.mark.parametrize("who", ["owner", "admin"])
def test_looking_changes_nothing(people, known, who):
    people[who].vouch_for_address()  # as everybody's is who signed up; without one, it would be noted as not verified
    changed = {}
    for route, _, queries in answers(people, known, "GET", who=who):
        tables = {found[1] for sql in queries if (found := ANSWERED.match(sql))} - set(WRITTEN)
        if tables:
            changed[route] = tables

    assert changed == {}


@pytest.fixture
def in_production(settings, tmp_path):
    """This shop as one behind TLS would be: what the settings say when they are told of a secret key."""
    given = {"SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": "testserver", "EMAIL_URL": "smtp://mail.example:25"}
    given |= {"STRIPE_SECRET_KEY": "sk_test_x", "DEFAULT_FROM_EMAIL": "shop@shop.example"}
    given |= {"SHIPPING_DEPARTMENT_EMAIL": "a@shop.example", "OPERATOR_EMAIL": "b@shop.example"}
    given |= {"STRIPE_WEBHOOK_SECRET": f"whsec_{'x' * 32}"}
    given |= {"WAYBILL_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    told = [sys.executable, "-c", TELL, *SAID_TO_BROWSERS]
    ran = subprocess.run(told, cwd=CHECKOUT, env=given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    for name, value in json.loads(ran.stdout).items():
        setattr(settings, name, value)
    return settings


@pytest.mark.parametrize(("who", "method"), [("owner", "GET"), ("owner", "POST"), ("admin", "GET")])
def test_every_answer_has_the_headers_and_every_cookie_its_flags(people, known, in_production, who, method):
    missing, bare = [], {}
    for route, answer, _ in answers(people, known, method, who=who, headers={"X-Forwarded-Proto": "https"}):
        missing += [(route, name) for name, value in HEADERS.items() if answer.get(name) != value]
        framed = answer.get("X-Frame-Options") in ("DENY", "SAMEORIGIN")
        missing += [] if framed and "Content-Security-Policy" in answer else [(route, "policy")]
        bare |= {name: fault for name, cookie in answer.cookies.items() if (fault := _fault(name, cookie))}

    assert (missing, bare) == ([], {})


def _fault(name, cookie):
    """What is wrong with a cookie; nothing with one that is only taken away."""
    if not cookie.value:
        return ""
    if not cookie["secure"] or cookie["samesite"] != "Lax" or cookie["domain"] or cookie["path"] != "/":
        return cookie.OutputString()
    if "session" in name and not cookie["httponly"]:
        return cookie.OutputString()
    return "" if name.startswith("__Host-") or ("session" not in name and "csrf" not in name) else cookie.OutputString()


def test_a_page_asked_for_without_tls_is_only_shown_the_way(people, known, in_production):
    open_pages = [route for route, answer, _ in answers(people, known, "GET", who="owner") if answer.status_code != 301]

    assert open_pages == []
