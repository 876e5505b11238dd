"""Turns due rows into work: hints for Celery, or, when nobody else can, runs them itself.

Several relays may run: claims and hints are conditional, clock events carry a dedupe key.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import structlog
from django.db import Error, close_old_connections, connection
from django.utils import timezone

from notifications.pipeline import clock, locks, queues, renaming, rescue
from notifications.pipeline.broker import WINDOW, Broker, BrokerAway
from notifications.pipeline.doorbell import Bell
from notifications.pipeline.due import ALONE, BESIDE_OTHERS, Due, execute, look_up, marks, next_due
from notifications.pipeline.executor import Executor
from notifications.pipeline.models import Priority, Worker
from notifications.pipeline.solitary import Cells

SAFETY_POLL = 1.0  # seconds: what a lost ring costs at most
SLOTS = 8  # handlers the relay runs at once when it must; some of them wait on slow servers
AHEAD = 50  # rows it looks up at a time for its slots
SHORT_QUEUE = 10  # a broker queue this short holds no backlog, so an old hint in it is a lost hint
LONGEST_HINT = 10  # deliveries that one hint names when many wait
HINTS_A_SLOT = 4  # so many hints for each of the workers' threads, before one of them names several
WAITING_A_SLOT = 2 * HINTS_A_SLOT  # so many may wait in the broker: a thread never waits for the relay's next look
REHINT_AFTER = timedelta(seconds=3)
FORGOTTEN_AFTER = timedelta(seconds=30)  # a hint this old counts as lost, however many wait
UNANSWERED_AFTER = timedelta(seconds=15)  # and nothing of its queue has run meanwhile: its workers are deaf, or hang

HINTED = "UPDATE notifications_delivery SET hinted_at = %s WHERE state = 'ready' AND id IN ({ids})"

log = structlog.get_logger(__name__)


class Relay:
    def __init__(self) -> None:
        self.bell = Bell()
        self.executor = Executor(kind=Worker.Kind.RELAY)
        self.broker = Broker(on_room=self.bell.ring)
        self._cells = Cells()
        self._slots = ThreadPoolExecutor(SLOTS, thread_name_prefix="slot")
        self._due_ids: deque[int] = deque()
        self._free = threading.Semaphore(SLOTS)
        self._stopping = threading.Event()
        self._rounds_at = 0.0
        self._chores: deque[Callable[[], None]] = deque()
        self._may_pass = 0  # so many more may overtake those in `_due_ids`
        self._more_here = False  # what is due may be more than `_due_ids` says
        self._limits: dict[str, int] = {}
        self._served: set[str] = set()
        self._worker_slots = 0

    def run(self) -> None:
        """Until `stop` is called. Survives the database being away."""
        while not self._stopping.is_set():
            try:
                renaming.rename_open()
                self._rounds()
                while not self._stopping.is_set():
                    self._turn()
            except Error as error:
                log.warning("relay_waits_for_database", error=str(error))
                self.bell.deafen()
                connection.close()
                self._stopping.wait(SAFETY_POLL)

    def stop(self) -> None:
        self._stopping.set()
        self.bell.ring()

    def close(self, *, grace: float) -> None:
        """Finish or give back what runs here, and say goodbye."""
        self.broker.close()
        self._cells.stop()
        self._slots.shutdown(wait=False, cancel_futures=True)
        self.executor.stop(grace=grace)
        self.bell.close()

    def _turn(self) -> None:
        """What is due, and one chore: all of them at once would hold up what comes meanwhile."""
        if not self._chores and time.monotonic() - self._rounds_at >= SAFETY_POLL:
            self._set_out()
        if self._chores:
            self._chores.popleft()()
        dispatched = self._dispatch()
        self.bell.wait(0 if dispatched or self._chores else self._until_next())

    def _rounds(self) -> None:
        """All chores, before anything else is known."""
        self._set_out()
        while self._chores:
            self._chores.popleft()()

    def _set_out(self) -> None:
        """Once a second: what time is it, who died, who runs the handlers, what has been forgotten."""
        self._rounds_at = time.monotonic()
        close_old_connections()
        self.bell.listen()
        self._chores = deque((self._tell_the_time, self._look_for_the_dead, self._look_for_the_dangerous))
        self._chores.extend((self._look_for_workers, self._look_for_the_forgotten))

    def _tell_the_time(self) -> None:
        clock.tick(timezone.now())

    def _look_for_the_dead(self) -> None:
        if locks.settled():
            rescue.rescue_abandoned(but=self.executor.worker)

    def _look_for_the_dangerous(self) -> None:
        """What may kill its process runs in one of its own."""
        if room := self._cells.room():
            self._cells.start(pk for pk, *_ in self._due(ALONE, [], room))

    def _look_for_workers(self) -> None:
        self._limits = queues.limits()
        alive = list(Worker.objects.alive().filter(kind=Worker.Kind.WORKER).exclude(queues=""))  # a cell has none
        self._served = {name for worker in alive for name in worker.queues.split(",") if name}
        # A worker of an older release says nothing of its slots, and knows no hint that names several deliveries.
        slots = [worker.note.get("slots", 0) for worker in alive]
        self._worker_slots = sum(slots) if all(slots) else 0
        self.broker.window = max(WINDOW, WAITING_A_SLOT * self._worker_slots)
        self.executor.note(mode="celery" if self._celery_works else "relay", broker_error=self.broker.error)

    def _look_for_the_forgotten(self) -> None:
        """What waits in queues that nobody serves, or whose workers are deaf, runs here."""
        if self._celery_works:
            since = timezone.now() - UNANSWERED_AFTER
            served, deaf = sorted(self._served), sorted(self._served - queues.moving(since))
            ours = f"(queue NOT IN ({marks(served)}) OR available_at < %s AND queue IN ({marks(deaf)}))"
            wanted = f"{BESIDE_OTHERS} AND {ours}"
            self._run_here(wanted, [*served, since, *deaf])

    @property
    def _celery_works(self) -> bool:
        return self.broker.answers and bool(self._served)

    def _dispatch(self) -> bool:
        """One batch of due rows; True when there may be more to do at once."""
        if not self._celery_works:
            return self._run_here()
        served = sorted(self._served)
        if not self._served.issuperset(queues.names()):  # rows in a queue of an older release wait for the rounds
            self._run_here(f"{BESIDE_OTHERS} AND queue NOT IN ({marks(served)})", served)
        return self._hint_due(served)

    def _due(self, wanted: str, values: Sequence[object], most: int) -> list[Due]:
        """As `look_up` finds them; then those of queues with a limit, no more than may run."""
        found = look_up(wanted, values, most)
        if self._limits.keys().isdisjoint(queue for _, queue, _ in found):
            return found
        # What may not run now must not stand before what may.
        limited = list(self._limits)
        found = look_up(f"{wanted} AND queue NOT IN ({marks(limited)})", [*values, *limited], most)
        for queue in limited:
            room = max(self._limits[queue] - queues.running(queue), 0)
            found += look_up(f"{wanted} AND queue = %s", [*values, queue], room)
        return sorted(found, key=lambda row: row[2])

    def _idle(self) -> list[str]:
        return [queue for queue, depth in self.broker.depths.items() if depth < SHORT_QUEUE]

    def _hint_due(self, served: list[str]) -> bool:
        idle = self._idle()
        not_full = [queue for queue in served if not self.broker.is_full(queue)]
        # What comes first overtakes in the broker too, so it need not wait for room there; twice as full is full.
        open_to_first = [queue for queue in served if not self.broker.is_full(queue, times=2)]
        wanted = f"""(hinted_at IS NULL OR hinted_at < %s OR (hinted_at < %s AND queue IN ({marks(idle)})))
            AND {BESIDE_OTHERS}
            AND (queue IN ({marks(not_full)}) OR priority = {Priority.FIRST} AND queue IN ({marks(open_to_first)}))"""
        now = timezone.now()
        # As many as fill the hints of all threads: of fewer, more workers would only get shorter hints.
        most = max(WINDOW, LONGEST_HINT * HINTS_A_SLOT * self._worker_slots)
        values = [now - FORGOTTEN_AFTER, now - REHINT_AFTER, *idle, *not_full, *open_to_first]
        batch = self._due(wanted, values, most)
        try:
            for (queue, priority), ids in _bundled(batch, self._worker_slots):
                self.broker.hint(*ids, queue=queue, priority=priority)
        except BrokerAway:
            return True  # what is left runs here, at once
        if batch:
            execute(HINTED.format(ids=marks(batch)), [timezone.now(), *(pk for pk, *_ in batch)])
        return len(batch) >= most

    def _run_here(self, wanted: str = BESIDE_OTHERS, values: Sequence[object] = ()) -> bool:
        self._more_here = bool(self._due_ids)  # nobody looks up what has come since
        if self._due_ids:
            self._let_pass(wanted, values)
        else:
            # Rows that run here are not READY, and whoever claims one first has it.
            found = self._due(wanted, values, AHEAD)
            self._more_here = len(found) == AHEAD
            self._due_ids.extend(pk for pk, *_ in found)
            self._may_pass = AHEAD
        for _ in range(len(self._due_ids)):
            if not self._free.acquire(blocking=False):
                break
            self._slots.submit(self._work).add_done_callback(_log_failure)
        return False  # a slot rings when it comes free and there is more

    def _let_pass(self, wanted: str, values: Sequence[object]) -> None:
        """What comes first does not wait for what was looked up before it; but those are not overtaken without end."""
        found = look_up(f"{wanted} AND priority = {Priority.FIRST}", values, min(SLOTS, self._may_pass))
        known = set(self._due_ids.copy())
        passing = [pk for pk, queue, _ in found if pk not in known and queue not in self._limits]
        self._may_pass -= len(passing)
        self._due_ids.extendleft(reversed(passing))

    def _work(self) -> None:
        """In a slot: one after another, until none is left."""
        try:
            while (delivery_id := self._next_id()) is not None:
                self._attempt(delivery_id)
        finally:
            self._free.release()
            if self._due_ids or self._more_here:
                self.bell.ring()

    def _next_id(self) -> int | None:
        try:
            return self._due_ids.popleft()
        except IndexError:  # another slot was faster
            return None

    def _attempt(self, delivery_id: int) -> None:
        try:
            self.executor.attempt(delivery_id)
        except Error as error:
            log.warning("attempt_lost_database", delivery=delivery_id, error=str(error))
            connection.close()
            self._due_ids.clear()  # the others would meet the same
            self._stopping.wait(SAFETY_POLL)

    def _until_next(self) -> float:
        """Seconds until the next row is due or the next rounds are."""
        rounds = SAFETY_POLL - (time.monotonic() - self._rounds_at)
        upcoming = next_due()
        wait = (upcoming - timezone.now()).total_seconds() if upcoming else SAFETY_POLL
        return max(0.0, min(rounds, wait))


def _bundled(due: Sequence[Due], slots: int) -> Iterator[tuple[tuple[str, int], list[int]]]:
    """Queue, priority and ids of each hint. Few get one each, so that all `slots` of the workers share them; many share
    one.
    """
    alike = defaultdict(list)
    for pk, queue, priority in due:
        alike[queue, priority].append(pk)
    for kind, ids in alike.items():
        size = min(max(len(ids) // (HINTS_A_SLOT * slots), 1), LONGEST_HINT) if slots else 1
        for start in range(0, len(ids), size):
            yield kind, ids[start : start + size]


def _log_failure(work: Future[None]) -> None:
    if not work.cancelled() and (error := work.exception()):
        log.error("slot_failed", exc_info=error)
