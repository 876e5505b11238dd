"""What nobody foresaw is reported, and nothing about people with it; and nothing at all where none is asked for."""

import json

import pytest
from django.urls import path
from sentry_sdk.transport import Transport

from config.urls import urlpatterns as of_the_site
from notifications import reporting
from notifications.pipeline.retries import Permanent, Retry
from tests.config.test_production import run
from tests.notifications.pipeline.conftest import ParcelPacked, subscribe

__all__ = ["subscribe"]
DSN = "https://key@sentry.example/1"
BUYER = "@".join(("ada", "example.org"))  # the line that raises is told, as it stands in the code


class Kept(Transport):
    """Instead of the way to Sentry: what would go there."""

    def __init__(self):
        super().__init__()
        self.events = []

    def capture_envelope(self, envelope):
        self.events += filter(None, [item.get_event() for item in envelope.items])


@pytest.fixture
def reports():
    kept = Kept()
    reporting.send_to(DSN, transport=kept)
    yield kept.events
    reporting.stop()


def breaks(request, token):
    who = BUYER
    raise ValueError(f"nothing known of {who}")


urlpatterns = [path("guests/<str:token>/", breaks), *of_the_site]


def test_a_page_that_breaks_is_reported_by_its_route_and_id_without_a_word_about_people(client, settings, reports):
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False

    answer = client.post(
        "/guests/a-guests-token/?key=another", {"name": "Lovelace", "card": "4242"}, HTTP_COOKIE="s=mine"
    )

    [event] = reports
    assert answer.status_code == 500
    assert event["tags"]["correlation_id"] == answer["X-Request-ID"]
    assert event["transaction"] == "/guests/{token}/"
    [error] = event["exception"]["values"]
    assert (error["type"], error["stacktrace"]["frames"][-1]["function"]) == ("ValueError", "breaks")
    told = json.dumps(event)
    assert [word for word in (BUYER, "a-guests", "another", "Lovelace", "4242", "s=mine") if word in told] == []


def test_a_delivery_that_dies_of_an_error_is_reported_once_with_its_handler_and_the_id(
    transactional_db, subscribe, run_handler, reports
):
    @subscribe(ParcelPacked, retry=Retry(attempts=1))
    def work(event):
        raise KeyError(BUYER)

    delivery = run_handler(work, ParcelPacked(parcel_id=1))

    [event] = reports
    assert event["tags"] == {"handler": "tests.work", "correlation_id": delivery.event.correlation_id}
    assert BUYER not in json.dumps(event)


def test_an_end_that_was_foreseen_is_not(transactional_db, subscribe, run_handler, reports):
    @subscribe(ParcelPacked)
    def work(event):
        raise Permanent("the depot is closed")

    run_handler(work, ParcelPacked(parcel_id=1))

    assert reports == []


def test_without_the_setting_nothing_is_loaded(tmp_path):
    loaded = "import sys; print([name for name in sys.modules if name.startswith('sentry')])"

    silent = run("manage.py", "shell", "--no-imports", "-c", loaded, folder=tmp_path)
    asked = run("manage.py", "shell", "--no-imports", "-c", loaded, folder=tmp_path, SENTRY_DSN=DSN)

    assert silent.stdout.strip() == "[]"
    assert "'sentry_sdk.integrations.celery'" in asked.stdout


def test_a_shop_without_the_package_says_that_it_needs_it(tmp_path):
    # In a process where nobody can find it, as on a machine that lacks it.
    code = (
        "import sys; sys.modules['sentry_sdk'] = None\n"
        "from importlib import util; util.find_spec = lambda name, found=util.find_spec:"
        " None if name == 'sentry_sdk' else found(name)\n"
        "from config.refusal import settings_or_exit; settings_or_exit()"
    )

    ran = run("-c", code, folder=tmp_path, SENTRY_DSN=DSN)

    assert (ran.returncode, ran.stderr) == (
        1,
        "Waybill does not start: SENTRY_DSN is set, which needs sentry-sdk: install it first.\n",
    )


def test_an_address_that_is_none_is_named(tmp_path):
    ran = run("manage.py", "check", folder=tmp_path, SENTRY_DSN="sentry.example")

    assert ran.stderr == "Waybill does not start: SENTRY_DSN must look like https://KEY@HOST/PROJECT.\n"
