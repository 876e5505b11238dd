"""What is asked all the time reads what is open and what is recent, never the whole history of deliveries."""

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from notifications.models import Delivery, Event
from notifications.pipeline import deadletters, due, ordering, queues, rescue, retention
from notifications.pipeline.failures import Failure
from notifications.pipeline.health import pipeline_health
from notifications.pipeline.latency import latencies
from notifications.pipeline.metrics import exposition
from orders import recovery
from orders.books.history import every_handler_once

pytestmark = pytest.mark.django_db(transaction=True)

QUESTIONS = {
    "is anybody there": lambda _: pipeline_health(),
    "what do the queues do": lambda _: queues.loads(),
    "how many of a queue run": lambda _: queues.running("mail"),
    "which queues move": lambda _: queues.moving(timezone.now() - timedelta(seconds=15)),
    "how long does it take": lambda _: latencies(timezone.now()),
    "all of it in figures": lambda _: exposition(),
    "what fails": lambda _: list(Failure.objects.failing()),
    "what died": lambda _: deadletters.groups(),
    "what waits for nobody": lambda _: list(ordering.stuck()),
    "what is due": lambda _: due.look_up("TRUE", [], 10),
    "when is the next due": lambda _: due.next_due(),
    "whose worker died": lambda worker: rescue.rescue_abandoned(but=worker),
    "what may be forgotten": lambda _: retention.prune(),
    "what does the doctor say": lambda _: list(every_handler_once(None)),
    "what will never be asked": lambda _: recovery.forgotten(),
}
SMALL = ("delivery_ready", "delivery_running", "delivery_dead", "delivery_line")  # of what is open: may be read whole


def reads_it_all(question):
    """Of each SELECT that the question puts: which it is, and whether it would read every delivery there ever was."""
    told = []

    def explain(execute, sql, params, many, context):
        if sql.lstrip(" (\n").startswith("SELECT") and "notifications_delivery" in sql:
            beside = connection.cursor().cursor  # the driver's own: nobody listens to what it is asked
            told.append((sql, ANSWERED[connection.vendor](beside, sql, params)))
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(explain):
        question()
    return told


def on_sqlite(beside, sql, params):
    """Its program says which table or index it opens, and whether it reads there from one end to the other."""
    beside.execute("SELECT rootpage, name FROM sqlite_master WHERE tbl_name = 'notifications_delivery'")
    big = {page for page, name in beside.fetchall() if name not in SMALL}
    beside.execute(f"EXPLAIN {sql}", params)
    steps = [row[1:4] for row in beside.fetchall()]
    opened = {cursor: page for code, cursor, page in steps if code == "OpenRead"}
    bounded = {cursor for code, cursor, _ in steps if code in ("IdxLE", "IdxLT", "IdxGE", "IdxGT")}
    from_an_end = {cursor for code, cursor, _ in steps if code in ("Rewind", "Last")}
    return any(opened.get(cursor) in big for cursor in from_an_end - bounded)


@pytest.fixture
def history(transactional_db):
    """So much of it that PostgreSQL thinks before it reads; SQLite decides without looking at the rows."""
    if connection.vendor == "postgresql":
        words = {"name": "test.old", "payload": {}, "correlation_id": "a", "actor": "x"}
        at = timezone.now() - timedelta(days=1)
        stored = Event.objects.bulk_create(Event(**words) for _ in range(2000))
        Delivery.objects.bulk_create(
            Delivery(event=event, handler="tests.old", state="done", finished_at=at) for event in stored
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE notifications_delivery, notifications_event")


def on_postgresql(beside, sql, params):
    for habit in ("seqscan", "hashjoin", "mergejoin"):  # with which it answers what is asked of empty tables
        beside.execute(f"SET LOCAL enable_{habit} = off")
    beside.execute(f"EXPLAIN {sql}", params)
    plan = [row[0] for row in beside.fetchall()]
    sorted_by = r"Index (Only )?Scan( Backward)? using (?!{}).* on notifications_delivery".format("|".join(SMALL))
    whole = [a for a, b in zip(plan, [*plan[1:], ""], strict=True) if re.search(sorted_by, a) and "Index Cond" not in b]
    return bool(whole) or any("Seq Scan on notifications_delivery" in line for line in plan)


ANSWERED = {"sqlite": on_sqlite, "postgresql": on_postgresql}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_reads_the_whole_history(question, history, executor):
    told = reads_it_all(lambda: QUESTIONS[question](executor.worker))

    assert told
    assert [sql for sql, whole in told if whole] == []


@pytest.mark.parametrize("wanted", [{"last_error": "?"}, {"state__in": ["ready", "done"]}])
def test_such_a_question_would_be_noticed(wanted):
    assert [whole for _, whole in reads_it_all(lambda: list(Delivery.objects.filter(**wanted)))] == [True]
