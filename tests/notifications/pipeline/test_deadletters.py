"""What died of the same is one failure, and the operator is told of it once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.handlers import email_digest
from notifications.models import Delivery, Event, Letter
from notifications.pipeline import decisions, rescue
from notifications.pipeline.clock import ClockHour
from notifications.pipeline.deadletters import fingerprint
from notifications.pipeline.retries import Permanent
from tests.notifications.pipeline.conftest import ParcelPacked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dies(subscribe):
    """A handler that dies with the note of its event."""

    @subscribe(ParcelPacked)
    def die(event):
        raise Permanent(event.note)

    return die


def told():
    return [event.payload["sentence"] for event in Event.objects.filter(name="delivery.buried").order_by("pk")]


def caught(function):
    try:
        function()
    except Exception as error:
        return error


def test_equal_failures_have_one_fingerprint_whatever_their_numbers():
    def lookup(key):
        return caught(lambda: {}[key])

    def other(key):
        return caught(lambda: {}[key])

    def id_of(n):
        return f"order {n} at 0x7f{n:04x} of 0f7d3c51-4f0f-4a51-9a55-6a0c0a6f7b1{n}"

    assert fingerprint(lookup(id_of(1))) == fingerprint(lookup(id_of(2)))
    assert fingerprint(lookup("order")) != fingerprint(lookup("parcel"))
    assert fingerprint(ValueError("x")) != fingerprint(TypeError("x"))


def test_the_operator_is_told_once_of_many_that_died_of_the_same(dies, pack, deliver_due, settings):
    settings.OPERATOR_EMAIL = "ops@example.com"
    for n in range(5):
        pack(note=f"no parcel {n}")
    deliver_due()

    assert told() == ["no parcel 0"]
    letter = Letter.objects.get(template="notifications/failure")
    assert (letter.to, letter.subject) == ("ops@example.com", "tests.die has failed")
    first = Delivery.objects.dead().order_by("pk")[0]
    assert f"/admin/notifications/failure/{first.pk}/change/" in letter.text
    assert "no parcel 0" in letter.text and "no parcel 0" in letter.html


def test_another_kind_of_failure_is_told_of_too(dies, pack, deliver_due):
    pack(note="no parcel"), pack(note="no address")
    deliver_due()

    assert sorted(told()) == ["no address", "no parcel"]
    assert Letter.objects.filter(template="notifications/failure").count() == 2


def test_what_was_mended_and_comes_back_is_told_of_again(dies, pack, deliver_due):
    pack(note="no parcel")
    deliver_due()
    decisions.discard(delivery=Delivery.objects.dead().get(), by="ada", reason="found")
    pack(note="no parcel")
    deliver_due()

    assert told() == ["no parcel", "no parcel"]


def test_what_kills_its_workers_is_told_of(subscribe, pack, worker):
    subscribe(ParcelPacked)(lambda event: None)
    pack()
    for _ in range(rescue.POISON):
        Delivery.objects.filter(state="ready", handler__startswith="tests.").update(
            state="running", worker=worker, lease_until=timezone.now()
        )
        rescue.rescue_abandoned(but=worker)

    assert told() == [rescue.KILLER]


@pytest.fixture
def hour(run_handler):
    """The hour ends at this moment."""

    def strikes(end):
        assert run_handler(email_digest, ClockHour(at=end.isoformat())).state == "done"

    return strikes


def test_more_of_a_known_kind_is_gathered_in_one_letter_an_hour(dies, pack, deliver_due, hour, settings):
    settings.OPERATOR_EMAIL = "ops@example.com"
    for _ in range(3):
        pack(note="no parcel")
    pack(note="no address")
    deliver_due()
    end = timezone.now() + timedelta(seconds=1)
    for _ in "12":
        hour(end)

    [letter] = Letter.objects.filter(template="notifications/digest")
    assert (letter.to, letter.subject) == ("ops@example.com", "4 deliveries have failed in the last hour")
    for part in (letter.text, letter.html):
        assert "3 × tests.die" in part and "1 × tests.die" in part and "/admin/notifications/failure/" in part


def test_what_was_told_one_by_one_or_died_at_another_time_is_not_gathered(dies, pack, deliver_due, hour):
    pack(note="no parcel"), pack(note="no address")
    deliver_due()
    hour(timezone.now() + timedelta(seconds=1))
    pack(note="no parcel")
    deliver_due()
    hour(timezone.now() + timedelta(hours=2))

    assert not Letter.objects.filter(template="notifications/digest").exists()


def test_letters_about_letters_that_cannot_be_written_come_to_an_end(dies, pack, deliver_due, monkeypatch):
    monkeypatch.setattr("notifications.handlers.queue_letter", lambda **_: (_ for _ in ()).throw(Permanent("no pen")))
    pack(note="no parcel")
    deliver_due()

    assert told() == ["no parcel", "no pen"]
