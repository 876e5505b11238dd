"""Each does one thing that a pipeline must cope with, and writes down that it did."""

import json
import os
import time
from datetime import timedelta

from django.conf import settings

from notifications.pipeline.events import seconds, subscribe
from notifications.pipeline.retries import Retry
from tests.conformance import LATER
from tests.conformance.words import Asked

TRIES = Retry(attempts=2, first=timedelta(seconds=0.2))


def of(kind):
    return lambda event: event.kind == kind


def write(event, what):
    line = {"tag": event.tag, "n": event.n, "what": what, "at": time.time(), "pid": os.getpid()}
    with (settings.WAYBILL_DATA / "ran.jsonl").open("a") as ran:
        ran.write(json.dumps(line) + "\n")


@subscribe(Asked, when=of("plain"))
def plain(event):
    write(event, "done")


@subscribe(Asked, when=of("failing"), retry=TRIES)
def failing(event):
    write(event, "began")
    if not (settings.WAYBILL_DATA / f"{event.tag}.mended").exists():
        raise ValueError("not mended")
    write(event, "done")


@subscribe(Asked, when=of("in_line"), ordered=True)
def in_line(event):
    time.sleep(0.05 if event.n % 2 else 0)  # the later of two would be done first, were they done at once
    write(event, "done")


@subscribe(Asked, when=of("long"), atomic=False)
def long(event):
    """Until the test says that it may end; whoever runs it can be killed meanwhile."""
    write(event, "began")
    while not (settings.WAYBILL_DATA / f"{event.tag}.end").exists():
        time.sleep(0.02)
    write(event, "done")


@subscribe(Asked, when=of("later"), after=seconds(LATER))
def later(event):
    write(event, "done")
