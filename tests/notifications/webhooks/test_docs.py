"""The receiver that docs/webhooks.md shows, as its reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import ports
from notifications.webhooks import calls, endpoints
from notifications.webhooks.models import new_secret
from tests.crash.stage import await_port

PAGE = Path(__file__).resolve().parents[3] / "docs" / "webhooks.md"


@pytest.fixture
def run(tmp_path):
    """Runs the page's program with this secret; returns the process."""
    begun = []

    def start(secret, port):
        [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        code = code.replace('"whsec_…"', repr(secret)).replace("8001", str(port))
        begun.append(
            subprocess.Popen(
                [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        )
        await_port(port)
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_prints_what_it_is_told_once_and_refuses_a_forgery(run, staff, private, deliver_due):
    [port] = ports.free_ports(1)
    own = endpoints.open_endpoint(owner=staff, url=f"http://127.0.0.1:{port}/", events=["order.placed"])
    program = run(own.secret, port)

    told = endpoints.send_test(own)
    deliver_due()
    calls.resend(told)
    deliver_due()
    type(own).objects.update(secret=new_secret())
    forged = endpoints.send_test(own)
    deliver_due()

    program.terminate()
    [printed] = program.stdout.read().splitlines()
    assert "'type': 'webhook.tested'" in printed
    assert statuses(told) == [204, 204]
    assert statuses(forged) == [400]


def statuses(call):
    call.refresh_from_db()
    return [one["status"] for one in call.tries]
