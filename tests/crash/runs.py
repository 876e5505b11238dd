"""Runs `python -m tests.crash …` for a test: in processes of their own, several at once, each with its database."""

import json
import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import database, server
from tests.rig import CHECKOUT, NOT_INHERITED

FULL = os.environ.get("WAYBILL_FULL") == "1"
CI = os.environ.get("CI") == "true"
LAST_WORDS = 6000  # characters of a failure
WORLDS = int(os.environ.get("WAYBILL_WORLDS") or (10_000 if FULL else 500 if CI else 100))
SEED = os.environ.get("WAYBILL_SEED")
GATE = 1  # the first world of every CI run: a change is judged by the same worlds as the last one; others look for new
DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Run:
    """One process: `what` it does, where, with which options. kind: "sqlite" or "postgresql"."""

    what: str
    folder: Path
    kind: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    run: Run
    status: int
    printed: str
    facts: Any


def play_all(runs: list[Run], postgres_server: str) -> list[Report]:
    """All of them at once, each to its end. What they print is printed. Fails when one did not come to its report."""
    with ExitStack() as stack:
        begun = [(run, _start(run, stack, postgres_server)) for run in runs]
        reports = [_report(run, process) for run, process in begun]
    for report in reports:
        print(f"\n{report.run.what} on {report.run.kind}", report.printed, sep="\n")
    return reports


def play_worlds() -> list[Report]:
    """The random worlds, on both databases at once."""
    count = 1 if SEED else max(1, WORLDS // 2)  # on each
    first = int(SEED or GATE) if SEED or CI else random.SystemRandom().randrange(10**6)
    seeds = (first, first if SEED else first + count)
    with server(fsync=False) as postgres, tempfile.TemporaryDirectory(prefix="waybill-worlds-") as folder:
        runs = [
            Run("worlds", Path(folder) / kind, kind, ("--seed", str(seed), "--worlds", str(count)))
            for kind, seed in zip(DATABASES, seeds, strict=True)
        ]
        return play_all(runs, postgres)


def _start(run, stack, postgres_server):
    url = stack.enter_context(database(postgres_server)) if run.kind == "postgresql" else ""
    argv = [sys.executable, "-m", "tests.crash", run.what, str(run.folder), "--database", url, *run.options]
    env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    process = subprocess.Popen(argv, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stack.callback(_end, process)
    return process


def _end(process):
    if process.poll() is None:
        process.kill()
        process.wait()


def _report(run, process):
    printed, complaints = process.communicate()
    *lines, last = printed.splitlines() or [""]
    try:
        facts = json.loads(last)
    except ValueError:
        log = run.folder / "actors.log"
        told = log.read_text()[-LAST_WORDS:] if log.exists() else ""
        pytest.fail(f"{run.what} on {run.kind} broke off:\n{told}\n{complaints[-LAST_WORDS:]}", pytrace=False)
    return Report(run, process.returncode, "\n".join(lines), facts)
