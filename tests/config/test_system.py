"""The page System: the doctor's round, who is alive, versions, disk, and settings without their secrets."""

# ruff: noqa: F401, F811

import pytest
from django.db import connection

from config.system import in_force, machine
from notifications.models import Delivery, Event, Worker
from orders.books import checkup, invariants
from orders.models import Product, Stock
from tests.notifications.test_admin import colleague, fresh_health, said, sam, staff

pytestmark = pytest.mark.django_db

PAGE = "/admin/system/"


def shown():
    return {one.name: one.value for group in in_force.settings_in_force().values() for one in group}


# -- The doctor -----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_round_of_the_doctor_is_asked_for_carried_out_and_shown(staff, deliver_due):
    assert "Nobody has asked yet." in staff.get(PAGE).content.decode()

    assert said(staff.post(f"{PAGE}check/", follow=True)) == [
        "The books are being checked. What is found appears here."
    ]
    assert said(staff.post(f"{PAGE}check/", follow=True)) == ["They are being checked already."]
    page = staff.get(PAGE).content.decode()
    assert "The books are being checked." in page
    assert 'hx-trigger="every 2s"' in page
    deliver_due()

    page = staff.get(PAGE).content.decode()
    assert "Yes. Orders, payments," in page
    assert [one.title for one in invariants() if one.title.replace("'", "&#x27;") not in page] == []
    assert Event.objects.filter(name="books.check_asked").count() == 1


def test_what_is_wrong_is_shown_with_examples(staff):
    mug = Product.objects.create(sku="MUG", slug="mug", name="Mug", price=1000)
    Stock.objects.create(product=mug, on_hand=5)
    checkup.carry_out()
    found = {one.id: one for one in checkup.latest().invariants}
    page = staff.get(PAGE).content.decode()

    assert (found["I4"].violations, checkup.latest().violations) == (1, 1)
    assert "No: 1 thing is not as it must be." in page
    assert found["I4"].examples[0] in page


def test_a_round_that_failed_itself_leads_to_its_failure(staff):
    event = Event.objects.create(name="books.check_asked", payload={}, correlation_id="c", actor="user:1")
    died = Delivery.objects.create(event=event, handler=checkup.HANDLER, state="dead", last_error="OSError: no ledger")

    page = staff.get(PAGE).content.decode()

    assert f"/admin/notifications/failure/{died.pk}/change/" in page
    assert "OSError: no ledger" in page


@pytest.mark.parametrize(
    ("rights", "status", "sees", "checks"),
    [
        (["view_order"], 403, False, False),
        (["view_worker"], 200, False, False),
        (["view_worker", "view_order"], 200, True, False),
        (["view_worker", "view_order", "decide_difference"], 200, True, True),
    ],
)
def test_each_sees_and_does_what_they_may(colleague, rights, status, sees, checks):
    visitor = colleague(*rights)
    page = visitor.get(PAGE)
    words = page.content.decode()

    assert (page.status_code, "Do the books balance?" in words, "Check now" in words) == (status, sees, checks)
    assert visitor.post(f"{PAGE}check/").status_code == (302 if checks else 403)
    assert Event.objects.filter(name="books.check_asked").exists() == checks


# -- The machine ----------------------------------------------------------------------------------


def test_processes_are_shown_with_their_last_sign_of_life(staff):
    Worker.objects.create(kind="relay", host="here", pid=7, lock_key=1, note={"mode": "relay"})

    page = staff.get(PAGE).content.decode()

    assert "relay here:7" in page
    assert "runs the handlers itself" in page


def test_the_page_asks_as_much_for_many_processes_as_for_few(staff, django_assert_num_queries):
    staff.get(PAGE)
    for number in (1, 20):
        for n in range(number):
            Worker.objects.create(kind="worker", host="here", pid=number * 100 + n, lock_key=number * 100 + n)
        with django_assert_num_queries(QUESTIONS + 2 * (connection.vendor == "postgresql")):  # its version, its size
            staff.get(PAGE)


# Session, user, workers, migrations (2), sizes of media (2); the doctor: under way, died, found.
QUESTIONS = 10


def test_versions_name_what_the_shop_runs_on(settings):
    settings.BROKER_URL = ""
    found = dict(machine.versions())

    assert list(found) == ["Waybill", "Python", "Django", "Celery", "Database", "Broker"]
    assert found["Database"].startswith(("SQLite 3", "PostgreSQL "))
    assert found["Broker"] == "none"


def test_a_broker_that_is_away_is_said_to_be(settings):
    settings.BROKER_URL = "redis://:secret@127.0.0.1:9/0"

    assert machine._broker() == "does not answer (ConnectionError)"


def test_no_migration_waits_in_a_database_that_was_migrated():
    assert machine.pending_migrations() == []


# -- Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", ""),
        ("sqlite:////srv/waybill.sqlite3", "sqlite:////srv/waybill.sqlite3"),
        (
            "postgres://shop:hunter2@db.example:5432/shop?sslpassword=hunter2",
            "postgres://shop:***@db.example:5432/shop",
        ),
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        ("redis://hunter2:99999999@/0", "redis://hunter2:***@/0"),
        ("postgres://shop:hun/ter2@db/shop", "set"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, words):
    assert in_force.without_secrets(url) == words


def test_no_secret_of_the_shop_is_on_the_page(staff, settings):
    settings.BROKER_URL = ""
    settings.DATABASE_URL = "postgres://shop:hunter2@db/shop"
    settings.STRIPE_SECRET_KEY = "sk_test_hunter2"
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_hunter2"]
    settings.MEDIA = {"OPTIONS": {"bucket_name": "b", "endpoint_url": None, "secret_key": "hunter2"}}
    settings.CACHES = settings.CACHES | {"other": {"BACKEND": "x", "LOCATION": "redis://:hunter2@h"}}
    page = staff.get(PAGE).content.decode()

    assert "hunter2" not in page
    assert settings.SECRET_KEY not in page
    assert (shown()["STRIPE_SECRET_KEY"], shown()["STRIPE_WEBHOOK_SECRET"]) == ("a test key", "1 set")
    assert shown()["STORAGE_URL"] == "the bucket b at Amazon"


def test_it_is_told_apart_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("WEBHOOKS_AT_ONCE", "2")
    monkeypatch.setenv("OPERATOR_EMAIL_FILE", "/run/secrets/operator")
    given = {one.name for group in in_force.settings_in_force().values() for one in group if one.given}

    assert {"WEBHOOKS_AT_ONCE", "OPERATOR_EMAIL"} <= given
    assert "MEDIA_URL" not in given
