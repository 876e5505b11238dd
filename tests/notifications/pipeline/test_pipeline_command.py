"""The terminal's way to the decisions of the failures page, and a handler that catches up with history."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from notifications.models import Brake, BulkDecision, Delivery, Event
from notifications.pipeline.retries import Permanent
from tests.notifications.pipeline.conftest import ParcelPacked

pytestmark = pytest.mark.django_db(transaction=True)


def pipeline(*arguments):
    out = StringIO()
    call_command("pipeline", *arguments, stdout=out)
    return json.loads(out.getvalue()) if "--json" in arguments else out.getvalue().strip()


YESTERDAY = (timezone.now() - timedelta(days=1)).isoformat()


@pytest.fixture
def new(subscribe, pack):
    """A handler that was not there when three parcels were packed."""
    seen = []
    for n in range(3):
        pack(parcel_id=n, note="fragile" if n == 1 else "")

    def arrive(**options):
        @subscribe(ParcelPacked, **options)
        def newcomer(event):
            seen.append(event.parcel_id)

        return seen

    return arrive


def test_a_new_handler_catches_up_once(new, deliver_due):
    seen = new()
    assert pipeline("replay", "tests.newcomer", "--since", YESTERDAY, "--dry-run", "--json") == {"missed": 3}
    assert pipeline("replay", "tests.newcomer", "--since", YESTERDAY, "--json") == {"delivered": 3}
    assert pipeline("replay", "tests.newcomer", "--since", YESTERDAY, "--json") == {"delivered": 0}
    deliver_due()

    assert seen == [0, 1, 2]


def test_nothing_is_done_again_because_it_is_forgotten(new, deliver_due):
    seen = new()
    long_ago = timezone.now() - timedelta(days=40)
    Event.objects.update(occurred_at=long_ago)

    with pytest.raises(CommandError, match="may go back 30 days"):
        pipeline("replay", "tests.newcomer", "--since", long_ago.isoformat())
    assert pipeline("replay", "tests.newcomer", "--since", long_ago.isoformat(), "--new", "--json") == {"delivered": 3}
    deliver_due()

    assert seen == [0, 1, 2]


def test_it_catches_up_in_order_and_only_with_what_it_wants(new, deliver_due):
    seen = new(ordered=True, when=lambda event: event.note == "")
    pipeline("replay", "tests.newcomer", "--since", YESTERDAY)
    assert [row.state for row in Delivery.objects.order_by("pk")] == ["ready", "waiting"]
    deliver_due()

    assert seen == [0, 2]


def test_what_is_older_is_left_alone(new):
    Event.objects.filter(payload__parcel_id=0).update(occurred_at=timezone.now() - timedelta(days=9))
    new()

    assert pipeline("replay", "tests.newcomer", "--since", YESTERDAY, "--json") == {"delivered": 2}


@pytest.mark.parametrize("since", ["soon", "2026-13-01", ""])
def test_a_date_that_is_none_is_refused(new, since):
    new()
    with pytest.raises(CommandError, match="--since is a date or a time"):
        pipeline("replay", "tests.newcomer", "--since", since)


@pytest.mark.parametrize(
    "way", [["replay", "no.such", "--since", YESTERDAY], ["pause", "no.such"], ["resume", "no.such"]]
)
def test_a_handler_that_is_none_is_refused_with_those_there_are(way):
    with pytest.raises(CommandError, match=r"There is no handler no.such. There are: .*notifications.send_letter"):
        pipeline(*way)


def test_a_handler_is_paused_and_resumed():
    assert pipeline("pause", "notifications.send_letter", "--reason", "moving") == (
        "notifications.send_letter is paused. Its deliveries wait, and lose no try by it."
    )
    assert (Brake.objects.get().reason, Brake.objects.get().paused_by) == ("moving", "terminal")
    assert "notifications.send_letter is paused" in pipeline("status")

    assert pipeline("resume", "notifications.send_letter", "--json")["resumed"] is True
    assert pipeline("resume", "notifications.send_letter") == "Nothing held notifications.send_letter back."


def test_status_tells_who_is_there_and_what_waits(new, pack):
    new()
    pack()
    facts = pipeline("status", "--json")

    assert (facts["relay_alive"], facts["waiting"], facts["dead"], facts["held_back"]) == (False, 1, 0, [])
    assert facts["warnings"][0].startswith("No relay is running")


def test_the_dead_are_listed_in_groups_and_decided_about(subscribe, pack, deliver_due):
    @subscribe(ParcelPacked)
    def dies(event):
        raise Permanent("the depot is closed")

    pack(), pack()
    deliver_due()
    [group] = pipeline("dead", "--json")
    assert (group["handler"], group["count"], group["error"]) == ("tests.dies", 2, "the depot is closed")

    with pytest.raises(CommandError, match="Say why: --reason"):
        pipeline("dead", "discard", "--handler", "tests.dies")
    told = pipeline("dead", "retry", "--handler", "tests.dies", "--kind", group["kind"], "--canary", "--json")
    assert (told["total"], BulkDecision.objects.get().canary_first) == (2, True)
    assert pipeline("dead", "list", "--kind", "another") == "Nothing is dead."
