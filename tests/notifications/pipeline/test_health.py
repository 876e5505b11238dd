"""What the banner says when nobody is there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.context import forget_health
from notifications.models import Delivery, Worker
from notifications.pipeline.health import pipeline_health

pytestmark = pytest.mark.django_db
HELP = "The relay runs the handlers. Start `manage.py worker`."


@pytest.fixture
def relay(settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    return Worker.objects.create(
        kind="relay", host="here", pid=1, lock_key=1, note={"mode": "relay", "broker_error": ""}
    )


def a_worker(*, silent_for):
    beat = timezone.now() - silent_for
    return Worker.objects.create(kind="worker", host="here", pid=2, lock_key=2, beat_at=beat, stopped_at=beat)


def test_without_a_worker_the_banner_says_for_how_long_and_how_many_wait(relay, pack):
    a_worker(silent_for=timedelta(minutes=47))
    a_worker(silent_for=timedelta(minutes=3, seconds=10))
    event = pack()
    for n in range(12):
        Delivery.objects.create(event=event, handler=f"tests.work{n}")

    assert pipeline_health().warnings[0] == f"No worker for 3 min, 12 waiting. {HELP}"


def test_where_no_worker_ever_ran_it_says_so(relay):
    assert pipeline_health().warnings == [f"No worker yet, 0 waiting. {HELP}"]


def test_the_first_page_of_staff_says_it_too(relay, admin_client):
    a_worker(silent_for=timedelta(minutes=3))
    forget_health()

    page = admin_client.get("/admin/").content.decode()

    assert page.count("No worker for 3 min, 0 waiting") == 2  # the banner and its tile
