"""The audit log refuses changes; who gets round that is found by its seals."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from notifications import correlation
from notifications.audit import log, seals
from notifications.audit.models import AuditEntry, AuditOrigin, AuditSeal
from notifications.pipeline.clock import ClockMinute
from notifications.pipeline.models import Event
from orders.books import invariants
from tests.crash import rows

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no TRUNCATE")


def act(count=1, *, actor="user:5", address="192.0.2.7", about="order:17"):
    with correlation.bound(correlation_id="abc", actor=actor, address=address):
        for number in range(count):
            log.record("order.shipped", about=about, before={"n": number}, after={"état": "é", "b": [1, None]})
    return list(AuditEntry.objects.order_by("pk"))


@pytest.fixture
def unguarded():
    """Somebody with rights in the database has taken the triggers away."""
    tables = ("auditentry", "auditseal", "auditorigin")
    names = [(f"notifications_{table}", kind) for table in tables for kind in ("unchanged", "kept")]
    kept = []
    with connection.cursor() as cursor:
        for table, kind in names:
            if connection.vendor == "postgresql":
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
                continue
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [f"{table}_{kind}"])
            kept += [row[0] for row in cursor.fetchall()]
            cursor.execute(f"DROP TRIGGER IF EXISTS {table}_{kind}")
    yield
    with connection.cursor() as cursor:
        for sql in kept:
            cursor.execute(sql)
        for table, _ in names if connection.vendor == "postgresql" else ():
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


def sealed(*counts):
    for count in counts:
        act(count)
        seals.seal()
    assert list(seals.faults()) == []
    return list(AuditSeal.objects.order_by("number"))


def test_an_entry_says_who_did_what_to_what_and_from_where():
    [entry] = act()

    assert (entry.action, entry.actor, entry.about) == ("order.shipped", "user:5", "order:17")
    assert entry.correlation_id == "abc"
    assert (entry.before, entry.after) == ({"n": 0}, {"état": "é", "b": [1, None]})
    assert entry.origin.address == "192.0.2.7"


def test_an_entry_is_undone_with_the_change_it_tells_of():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        act()
        1 / 0  # noqa: B018

    assert AuditEntry.objects.count() == 0


@pytest.mark.parametrize("table", [AuditEntry, AuditSeal, AuditOrigin])
def test_the_database_refuses_to_change_a_line(table):
    sealed(1)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        table.objects.update(id=F("id") + 1000)


@pytest.mark.parametrize("table", [AuditEntry, AuditSeal])
def test_the_database_refuses_to_take_a_line_out(table):
    sealed(1)
    AuditOrigin.objects.all().delete()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        table.objects.all()._raw_delete("default")


@on_postgresql
@pytest.mark.parametrize("table", [AuditEntry, AuditSeal])
def test_the_database_refuses_to_empty_it_as_a_whole(table):
    sealed(1)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table._meta.db_table} CASCADE")

    assert table.objects.count() == 1


@on_postgresql
def test_a_stage_of_the_crash_tests_can_be_emptied_all_the_same_and_refuses_again_afterwards():
    sealed(1)

    rows.empty()

    assert (AuditEntry.objects.count(), AuditSeal.objects.count()) == (0, 0)
    test_the_database_refuses_to_empty_it_as_a_whole(AuditEntry)


def test_each_minute_closes_what_was_open(run_handler):
    from notifications.handlers import seal_audit_log

    act(3)
    assert run_handler(seal_audit_log, ClockMinute(at="2026-01-01T00:00:00+00:00")).state == "done"
    assert run_handler(seal_audit_log, ClockMinute(at="2026-01-01T00:01:00+00:00")).state == "done"

    [seal] = AuditSeal.objects.all()
    [first, *_, last] = AuditEntry.objects.order_by("pk").values_list("pk", flat=True)
    assert (seal.number, seal.entries, seal.up_to) == (1, [[first, last]], last)
    assert Event.objects.get(name="audit.sealed").payload == {"number": 1, "digest": seal.digest}
    assert list(seals.faults()) == []


TAMPERINGS = {
    "action": lambda row: {"action": "order.viewed"},
    "actor": lambda row: {"actor": "user:6"},
    "about": lambda row: {"about": "order:18"},
    "before": lambda row: {"before": {"n": 7}},
    "after": lambda row: {"after": None},
    "at": lambda row: {"at": row.at + timedelta(microseconds=1)},
    "correlation": lambda row: {"correlation_id": "abd"},
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_any_column_that_was_changed_is_found(unguarded, what):
    sealed(2, 3, 2)
    middle = AuditEntry.objects.order_by("pk")[3]

    AuditEntry.objects.filter(pk=middle.pk).update(**TAMPERINGS[what](middle))

    assert [words for words in seals.faults() if "seal 2 does not fit" in words] == list(seals.faults()) != []


def test_an_entry_that_is_gone_is_named(unguarded):
    sealed(2, 3)
    gone = AuditEntry.objects.order_by("pk")[2]
    AuditOrigin.objects.filter(entry=gone).delete()

    AuditEntry.objects.filter(pk=gone.pk).delete()

    assert list(seals.faults()) == [f"entry {gone.pk} is gone; seal 2 had closed it"]


@pytest.mark.parametrize(("number", "word"), [(1, "the seals 1 to 1 are gone"), (3, "seal 3 is gone")])
def test_a_seal_that_is_gone_is_found(unguarded, number, word):
    sealed(1, 1, 1)

    AuditSeal.objects.filter(number=number).delete()

    assert [found for found in seals.faults() if found.startswith(word)] != []


def test_a_seal_made_to_fit_a_changed_entry_is_not_the_one_its_event_tells_of(unguarded):
    [first, second] = sealed(1, 1)
    last = AuditEntry.objects.order_by("pk").last()
    AuditEntry.objects.filter(pk=last.pk).update(actor="user:6")
    last.refresh_from_db()

    AuditSeal.objects.filter(pk=second.pk).update(digest=seals._digest(second, first.digest, [last]))

    assert list(seals.faults()) == ["seal 2 is not the one that its event tells of"]


def test_an_entry_that_commits_late_is_closed_by_the_next_seal(unguarded):
    [_, late, _] = act(3)
    values = AuditEntry.objects.filter(pk=late.pk).values().get()
    AuditOrigin.objects.all().delete()
    AuditEntry.objects.update(origin_digest="")
    AuditEntry.objects.filter(pk=late.pk).delete()
    first = seals.seal()

    AuditEntry.objects.create(**{**values, "origin_digest": ""})  # its transaction has come to its end
    act()
    second = seals.seal()

    assert (len(first.entries), second.entries[0]) == (2, [late.pk, late.pk])
    assert second.up_to > first.up_to
    assert list(seals.faults()) == []


def test_an_entry_that_appears_among_old_ones_is_found(unguarded):
    [_, late, _] = act(3)
    values = AuditEntry.objects.filter(pk=late.pk).values().get()
    AuditOrigin.objects.all().delete()
    AuditEntry.objects.update(origin_digest="")
    AuditEntry.objects.filter(pk=late.pk).delete()
    made = seals.seal()
    hours_ago = timezone.now() - timedelta(hours=2)
    AuditSeal.objects.update(at=hours_ago)
    made.at = hours_ago
    made.digest = seals._digest(made, "", AuditEntry.objects.order_by("pk"))
    AuditSeal.objects.update(digest=made.digest)
    Event.objects.filter(name="audit.sealed").update(payload={"number": 1, "digest": made.digest})
    assert list(seals.faults()) == []

    AuditEntry.objects.create(**{**values, "origin_digest": ""})

    assert seals.seal() is None
    assert list(seals.faults()) == [f"entry {late.pk} appeared among those that were sealed long before"]


def test_the_address_of_an_erased_person_may_be_gone_and_nobody_elses():
    [_, other, _] = [*act(), *act(actor="user:6")[1:], *act(actor="visitor", about="user:5")[2:]]
    seals.seal()

    log.forget_origins(["user:5"])
    assert [words for words in seals.faults() if "nobody was erased" in words] == list(seals.faults()) != []
    log.record("person.erased", about="user:5", after={"references": ["user:5"]})

    assert list(seals.faults()) == []
    assert list(AuditOrigin.objects.values_list("entry", flat=True)) == [other.pk]
    AuditOrigin.objects.all().delete()
    assert list(seals.faults()) == [f"entry {other.pk}: the address it came from is gone, and nobody was erased"]


def test_an_address_that_was_changed_is_found(unguarded):
    sealed(1)

    AuditOrigin.objects.update(address="192.0.2.8")

    assert len(list(seals.faults())) == 1


def test_addresses_of_a_year_ago_are_forgotten_and_missed_by_nobody(unguarded):
    old, new = act(2)
    seals.seal()
    AuditEntry.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=366))

    assert log.forget_old_origins() == 1

    assert list(AuditOrigin.objects.values_list("entry", flat=True)) == [new.pk]
    assert [fault for fault in seals.faults() if "address" in fault] == []


def test_doctor_names_what_was_tampered_with(unguarded):
    sealed(2)
    last = AuditEntry.objects.order_by("pk").last()
    AuditEntry.objects.filter(pk=last.pk).update(actor="user:6")

    found = {one.id: list(one.examples) for one in invariants() if one.violations}

    assert [words for words in found["A1"] if words.startswith("seal 1 does not fit")] != []
