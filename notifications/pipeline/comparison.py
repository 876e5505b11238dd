"""What this pipeline promises, beside other ways to do something after a commit.

Of ours, each line names the test or the command that shows it. Of others it names where that can be read or measured;
what has not been looked into is left out. How fast each is says `manage.py bench ways rivals`, on
your own machine: there are no figures here.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

WAYS: Final = {
    "waybill": "Waybill",
    "celery": "Celery, on_commit(delay)",
    "procrastinate": "procrastinate",
    "dbos": "DBOS",
    "outbox": "an outbox that publishes to Celery",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """holds: the promise is kept; None: in part. shown_by: a test, a command, or where it can be read."""

    holds: bool | None
    words: str
    shown_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Property:
    title: str
    cells: dict[str, Cell]


def yes(words: str, *shown_by: str) -> Cell:
    return Cell(holds=True, words=words, shown_by=shown_by)


def no(words: str, *shown_by: str) -> Cell:
    return Cell(holds=False, words=words, shown_by=shown_by)


def partly(words: str, *shown_by: str) -> Cell:
    return Cell(holds=None, words=words, shown_by=shown_by)


_OURS: Final = "tests/notifications/pipeline"
_BENCH: Final = "manage.py bench"
_WAY: Final = "config/bench/ways"
_AS_CELERY: Final = "what a broker and its workers lose is lost behind an outbox, too"

PROPERTIES: Final = (
    Property(
        title="What is rolled back was never told",
        cells={
            "waybill": yes(
                "the event is a row of the same transaction",
                f"{_OURS}/test_events.py::test_what_is_rolled_back_was_never_published",
            ),
            "celery": yes("delay_on_commit waits for the commit; a plain delay does not", f"{_WAY}/delay.py"),
            "procrastinate": yes("the job is a row of the same transaction", f"{_WAY}/procrastinate.py"),
            "dbos": yes("enqueued after the commit", f"{_WAY}/dbos.py"),
            "outbox": yes("the message is a row of the same transaction", "what an outbox is"),
        },
    ),
    Property(
        title="Killed between the commit and the hand-over, nothing is lost",
        cells={
            "waybill": yes(
                "there is no hand-over: the commit has it all",
                "tests/crash/test_dying_web.py::test_the_letters_of_killed_requests_arrive_and_the_books_balance",
                "tests/crash/test_boundary_sweep.py::test_a_kill_at_any_boundary_leaves_no_book_wrong",
            ),
            "celery": no("the hook dies with its process, and leaves no trace", "django: transaction.on_commit"),
            "procrastinate": yes("the commit has it", f"{_WAY}/procrastinate.py"),
            "dbos": no("as the bench uses it, enqueued in a hook after the commit", f"{_WAY}/dbos.py"),
            "outbox": yes("the commit has it", "what an outbox is"),
        },
    ),
    Property(
        title="A worker killed in the middle loses nothing",
        cells={
            "waybill": yes(
                "what it ran begins again elsewhere",
                "tests/broker/test_kills.py::test_killed_in_the_middle_of_200_deliveries_all_are_done_and_none_twice",
                "tests/soak/test_soak.py::test_whatever_dies_every_event_is_handled_once",
                f"{_BENCH} ways",
            ),
            "celery": no("by default a task is acknowledged before it runs", f"{_BENCH} ways"),
            "procrastinate": partly(
                "its job stays “doing” until a person or a periodic task of one's own retries it", f"{_BENCH} rivals"
            ),
            "dbos": yes("begun workflows go on when the process is back", f"{_BENCH} rivals"),
            "outbox": no(_AS_CELERY, f"{_BENCH} ways"),
        },
    ),
    Property(
        title="What a dead worker held begins again within seconds, by itself",
        cells={
            "waybill": yes(
                "its death frees a lock that others look at each second",
                f"{_OURS}/test_rescue.py::test_what_a_dead_worker_was_running_is_ready_at_once",
                f"{_BENCH} rescue",
            ),
            "celery": no("with acks_late on Redis after the visibility timeout, an hour by default", "celery#5935"),
            "procrastinate": no("not by itself", f"{_BENCH} rivals"),
            "dbos": partly("when the process itself is back", f"{_BENCH} rivals"),
            "outbox": no("as Celery", "celery#5935"),
        },
    ),
    Property(
        title="A handler's database work counts exactly once",
        cells={
            "waybill": yes(
                "it and its completion are one transaction, fenced by a token that changes hands",
                f"{_OURS}/test_delivery.py::test_a_run_that_was_given_up_for_dead_changes_nothing",
                f"{_OURS}/test_delivery.py::test_an_unfenced_completion_would_be_noticed",
                "tests/soak/test_soak.py::test_whatever_dies_every_event_is_handled_once",
            ),
            "celery": no("at most once; with acks_late at least once", f"{_BENCH} ways"),
            "procrastinate": no("at least once; a job is finished by its id and status", "procrastinate: finish_job"),
            "dbos": no("a step runs at least once", f"{_BENCH} rivals"),
            "outbox": no("at least once: who consumes must be idempotent", "django-celery-outbox: its documentation"),
        },
    ),
    Property(
        title="A call outside happens at most once for its key, and doubt is shown",
        cells={
            "waybill": yes(
                "begun, done or unknown; an unknown one that cannot be repeated waits for a person",
                f"{_OURS}/test_effects.py::test_what_was_done_is_not_done_again_when_the_handler_runs_again",
                f"{_OURS}/test_effects.py::test_a_call_that_cannot_is_left_to_a_person",
            ),
        },
    ),
    Property(
        title="No broker is needed, and one that is away fails no request",
        cells={
            "waybill": yes(
                "a broker carries hints only; without one the relay runs the handlers",
                f"{_OURS}/test_relay.py::test_without_a_broker_the_relay_runs_the_handlers",
                "tests/broker/test_outages.py::test_with_the_broker_killed_and_its_data_gone_nothing_is_lost",
                f"{_BENCH} http",
            ),
            "celery": no("one that refuses raises in the request; one that hangs holds it up", "celery#4296"),
            "procrastinate": yes("its queue is in PostgreSQL", f"{_WAY}/procrastinate.py"),
            "dbos": yes("its queue is in the database", f"{_WAY}/dbos.py"),
            "outbox": partly("needed, but not by the request", "what an outbox is"),
        },
    ),
    Property(
        title="What fails for good is kept for a person",
        cells={
            "waybill": yes(
                "dead letters in groups: retry one first or all, correct the payload, discard, undo",
                f"{_OURS}/test_delivery.py::test_the_last_failure_buries_the_delivery",
                f"{_OURS}/test_bulk.py::test_one_is_tried_first_and_the_others_after_it_has_worked",
                "manage.py pipeline dead",
            ),
            "celery": no("there are none", "celery: its documentation"),
            "procrastinate": partly("failed jobs stay listed, and are retried one by one", "procrastinate: its admin"),
            "outbox": no("none behind the broker", "celery: its documentation"),
        },
    ),
    Property(
        title="What kills its workers is stopped",
        cells={
            "waybill": yes(
                "buried after three deaths; the others go on",
                f"{_OURS}/test_rescue.py::test_a_delivery_that_keeps_killing_its_workers_is_buried",
                "tests/soak/test_soak.py::test_what_kills_its_worker_is_buried_after_three_and_the_others_are_done",
            ),
            "celery": no(
                "reject_on_worker_lost loops, as its documentation warns", "celery: task_reject_on_worker_lost"
            ),
            "procrastinate": no("its retry of stalled jobs has no limit", "procrastinate: retry_job"),
            "dbos": yes("recoveries are counted", "DBOS: its documentation"),
            "outbox": no("as Celery", "celery: task_reject_on_worker_lost"),
        },
    ),
    Property(
        title="An outage of somebody else's server burns a handful of tries, not all",
        cells={
            "waybill": yes(
                "a handler that fails alike five times rests, and one delivery is tried now and then",
                f"{_OURS}/test_brakes.py::test_an_outage_burns_a_handful_of_tries_and_ends_by_itself",
            ),
            "celery": no("each task burns its own tries", "celery: its documentation"),
            "outbox": partly("for publishing to the broker", "django-celery-outbox: its documentation"),
        },
    ),
    Property(
        title="One subject's events are handled in order",
        cells={
            "waybill": yes(
                "ordered=True: through failures, kills and several workers",
                f"{_OURS}/test_ordering.py::test_with_failures_and_many_at_once_nothing_overtakes_and_nothing_overlaps",
                "tests/soak/test_soak.py::test_each_line_keeps_its_order_through_failures_and_kills",
            ),
            "celery": no("tasks of one queue run side by side", "celery: its documentation"),
            "outbox": no("published in order, run side by side", "celery: its documentation"),
        },
    ),
    Property(
        title="A delay outlives every restart",
        cells={
            "waybill": yes(
                "the time is a column: nothing delayed sits in a broker",
                f"{_OURS}/test_relay.py::test_the_relay_comes_back_for_what_was_put_off",
            ),
            "celery": partly(
                "a later task waits in a worker's memory, and past the visibility timeout runs again", "celery#5935"
            ),
        },
    ),
    Property(
        title="A handler that was renamed, or an event that changed, loses nothing",
        cells={
            "waybill": yes(
                "an unknown one waits and says so; was= and upcast take over",
                f"{_OURS}/test_delivery.py::test_a_handler_this_release_does_not_have_waits_and_says_so",
                f"{_OURS}/test_delivery.py::test_a_handler_that_was_renamed_does_what_waits_under_its_old_name",
                "manage.py pipeline map",
            ),
        },
    ),
)


def facts() -> dict[str, Any]:
    """For programs: `holds` is true, false, or null for in part; a way that a property lacks was not looked into."""
    return {"ways": WAYS, "properties": [asdict(one) for one in PROPERTIES]}


def table() -> str:
    """For a terminal: under each property one line for each way, ours with what shows it."""
    lines = [line for one in PROPERTIES for line in _lines(one)]
    return "\n".join([*lines, "How fast each is: manage.py bench ways rivals, on your machine."])


def _lines(one: Property) -> list[str]:
    told = [_line(name, one.cells.get(way)) for way, name in WAYS.items()]
    proofs = [f"      shown by {proof}" for proof in one.cells["waybill"].shown_by]
    return [one.title, told[0], *proofs, *told[1:], ""]


def _line(name: str, cell: Cell | None) -> str:
    if cell is None:
        return f"  ?  {name}: not looked into"
    mark = {True: "✓", False: "✗", None: "~"}[cell.holds]
    return f"  {mark}  {name}: {cell.words}"
