"""What Celery sees: a hint to look at deliveries, and a worker that registers and stops cleanly."""

import threading
from collections.abc import Sequence
from typing import Any

from celery import shared_task, signals
from django.db import close_old_connections

from notifications.pipeline import executor

STOP_GRACE = 2.5  # seconds; a supervisor that waits 5 s still sees rows given back


@shared_task(name="waybill.deliver", ignore_result=True, acks_late=True)
def deliver(delivery_id: int, *, also: Sequence[int] = (), **_: Any) -> int:
    """Run those that are still READY, one after another. Returns how many. What newer releases add is ignored."""
    close_old_connections()
    return executor.of_this_process().attempt_all([delivery_id, *also])


@signals.worker_ready.connect
def _register(sender: Any, **_: Any) -> None:
    queues = ",".join(queue.name for queue in sender.task_consumer.queues)
    executor.of_this_process(queues=queues, note={"slots": sender.pool.limit})


@signals.worker_shutting_down.connect
def _give_back(**_: Any) -> None:
    # Celery calls this inside a signal handler: the waiting belongs in a thread.
    stop = executor.of_this_process().stop
    threading.Thread(target=stop, kwargs={"grace": STOP_GRACE}, name="clean-stop").start()
