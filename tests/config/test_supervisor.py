import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from config import ports, supervisor
from config.supervisor import Program, Supervisor

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def said():
    return []


@pytest.fixture
def running(tmp_path, said):
    running = Supervisor(logs=tmp_path / "logs", cwd=tmp_path, say=said.append)
    yield running
    running.stop()


def python(name, code, **more):
    return Program(name=name, argv=[sys.executable, "-c", textwrap.dedent(code)], **more)


def sleeper(name="sleeper", **more):
    return python(name, "import time; time.sleep(60)", **more)


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError("It did not happen in time.")


def alive(pid):
    """Whether a process runs under this pid; one that waits to be reaped does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_child_is_started_again_under_a_new_pid(running, said):
    first = running.start(sleeper()).pid

    os.kill(first, signal.SIGKILL)
    until(running.tick)

    assert running.pids()["sleeper"] != first
    assert said == ["sleeper was killed by SIGKILL; starting it again"]


def test_the_pauses_before_restarts_double_up_to_the_longest(running, monkeypatch):
    monkeypatch.setattr(supervisor, "LONGEST_DELAY", 0.7)
    child = running.start(python("hasty", "raise SystemExit(3)"))
    pauses = []

    for _ in range(4):
        child.process.wait()
        running.tick()
        pauses.append(round(child.restart_at - time.monotonic(), 1))
        child.restart_at = time.monotonic()
        running.tick()

    assert pauses == [0.2, 0.4, 0.7, 0.7]


def test_a_child_that_was_steady_is_restarted_quickly_again(running):
    child = running.start(sleeper())
    child.delay, child.deaths = 5.0, 7
    child.started -= supervisor.STEADY

    child.process.kill()
    child.process.wait()
    running.tick()

    assert (child.delay, child.deaths) == (0.4, 1)


def test_waiting_ends_when_a_child_dies(running):
    child = running.start(sleeper())

    with supervisor.stoppable():
        subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {child.pid}"])
        began = time.monotonic()
        running.wait(20)

    assert time.monotonic() - began < 5


def test_a_child_that_ignores_sigterm_is_killed_within_five_seconds(running):
    stubborn = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(60)
    """
    pid = running.start(python("stubborn", stubborn)).pid
    until(lambda: "deaf" in running.log("stubborn").read_text())

    began = time.monotonic()
    running.stop()

    assert time.monotonic() - began < 5
    assert not alive(pid)


def test_those_that_serve_others_stop_after_those_that_work(running, tmp_path):
    note_the_end = """
        import pathlib, signal, sys, time
        def end(*_):
            time.sleep({pause})
            with open("ends", "a") as ends: ends.write("{name} ")
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        print("up", flush=True)
        time.sleep(60)
    """
    running.start(python("server", note_the_end.format(name="server", pause=0), serves=True))
    running.start(python("worker", note_the_end.format(name="worker", pause=0.5)))
    until(lambda: all("up" in running.log(name).read_text() for name in ("server", "worker")))

    running.stop()

    assert (tmp_path / "ends").read_text() == "worker server "


def test_stopping_a_child_stops_its_own_children(running):
    family = """
        import subprocess, sys, signal
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(child.pid, flush=True)
        child.wait()
    """
    running.start(python("family", family))
    grandchild = int(until(lambda: running.log("family").read_text()))

    running.forget("family")

    until(lambda: not alive(grandchild))
    assert running.pids() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells a child that its parent has died.")
def test_a_killed_supervisor_leaves_no_child_behind(tmp_path):
    code = f"""
        import pathlib, sys, time
        from config.supervisor import Program, Supervisor
        folder = pathlib.Path({str(tmp_path)!r})
        running = Supervisor(logs=folder, cwd=folder, say=print)
        child = running.start(Program(name="child", argv=[sys.executable, "-c", "import time; time.sleep(60)"]))
        print(child.pid, flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())

    parent.kill()
    parent.wait()

    until(lambda: not alive(child))


def test_a_log_past_its_limit_is_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 10)
    log = tmp_path / "web.log"
    log.write_text("more than ten bytes")

    with supervisor.open_log(log) as out:
        out.write(b"new")

    assert log.read_text() == "new"


def test_free_ports_differ_and_can_be_listened_on():
    found = ports.free_ports(5)

    assert len(set(found)) == 5
    for port in found:
        ports.listen(port).close()


def test_a_taken_port_gives_the_next_free_one():
    with ports.listen(0) as taken:
        port = taken.getsockname()[1]
        with ports.listen_from(port) as next_one:
            assert next_one.getsockname()[1] > port
