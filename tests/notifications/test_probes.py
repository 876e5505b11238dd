"""What machines ask of the pipeline."""

from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from notifications.models import Attempt, Brake, Delivery, Event, Worker

pytestmark = pytest.mark.django_db


def delivery(state, handler="accounts.send_welcome", **facts):
    event = Event.objects.create(name="user.registered", subject="user:1", payload={}, correlation_id="a", actor="x")
    return Delivery.objects.create(event=event, handler=handler, state=state, **facts)


@pytest.fixture
def figures(client):
    def read():
        answer = client.get("/metrics")
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}

    return read


def test_the_figures_are_those_of_the_tables(figures):
    now = timezone.now()
    delivery("ready", available_at=now - timedelta(seconds=90))
    delivery("ready", "orders.email_confirmation", available_at=now + timedelta(hours=1))
    delivery("done", finished_at=now)
    delivery("done", finished_at=now - timedelta(hours=1))
    dead = delivery("dead", finished_at=now)
    Attempt.objects.create(delivery=dead, n=1, token=1, outcome="error")
    Brake.objects.create(handler="orders.email_confirmation", paused_at=now, paused_by="user:1")
    Worker.objects.create(kind="relay", host="here", pid=1, lock_key=1)
    seen = figures()

    assert (seen["waybill_waiting",], seen["waybill_relay_alive",], seen["waybill_workers_alive",]) == (1, 1, 0)
    assert 90 <= seen["waybill_oldest_waiting_seconds",] < 100
    assert seen["waybill_deliveries", "accounts.send_welcome", "dead"] == 1
    assert seen["waybill_deliveries", "orders.email_confirmation", "ready"] == 1
    assert seen["waybill_done_recently", "accounts.send_welcome"] == 1
    assert seen["waybill_failed_tries_recently", "accounts.send_welcome", "error"] == 1
    assert seen["waybill_held_back", "orders.email_confirmation"] == 1


def test_waits_and_runs_are_told_by_their_median_and_95th_percentile(figures):
    now = timezone.now()
    for n in range(1, 21):
        due = now - timedelta(seconds=100)
        started = due + timedelta(seconds=n)
        delivery("done", available_at=due, started_at=started, finished_at=started + timedelta(seconds=2 * n))
    seen = {key[0].removeprefix("waybill_") + key[2]: value for key, value in figures().items() if len(key) == 3}

    assert seen == {
        "wait_seconds0.5": 10.5,
        "wait_seconds0.95": pytest.approx(19.05),
        "run_seconds0.5": 21,
        "run_seconds0.95": pytest.approx(38.1),
    }


def test_an_empty_shop_has_figures_too(figures):
    assert figures()["waybill_waiting",] == 0


def test_what_a_person_holds_back_does_not_make_the_shop_unready(client):
    Worker.objects.create(kind="relay", host="here", pid=1, lock_key=1)
    delivery("ready", available_at=timezone.now() - timedelta(hours=1))
    assert client.get("/readyz").status_code == 503

    Brake.objects.create(handler="accounts.send_welcome", paused_at=timezone.now(), paused_by="user:1")
    assert client.get("/readyz").json() == {"ready": True, "reasons": []}


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/healthz"])
def test_probes_are_only_read(client, path):
    assert client.post(path).status_code == 405
