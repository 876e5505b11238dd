"""A whole shop for a test: `with Shop(tmp_path) as shop:` starts `manage.py up` there and stops it at the end.

What a test sees of it, it sees as outsiders do: over HTTP, in up.json, in the mailbox, in the bank's ledger.
"""

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from notifications.mail import mailbox

CHECKOUT = Path(__file__).resolve().parent.parent
OPENING = 180.0  # seconds; two cores open in five, and have taken 90 when ten others wanted them
# What the machine, or the test run around this, says of its own shop is not for this one.
NOT_INHERITED = {
    "SENTRY_DSN",
    "WAYBILL_DATA",
    "SECRET_KEY",
    "DATABASE_URL",
    "BROKER_URL",
    "CACHE_URL",
    "EMAIL_URL",
    "SITE_URL",
    "STRIPE_API_BASE",
    "STRIPE_PUBLISHABLE_KEY",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "DJANGO_SETTINGS_MODULE",
}
ADDRESS = {"name": "Ada Buyer", "line1": "Quay 1", "line2": "", "postal_code": "1011", "city": "Hoorn", "country": "NL"}


def missing(reason):
    """Skip for want of a service; on CI, where nothing may be wanting, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have it: {reason}")
    pytest.skip(reason)


def until(condition, *, within, what="it to happen"):
    """The first true value of `condition()`. Fails when none comes `within` so many seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"Waited {within:g} s for {what}.")


@dataclass
class Answer:
    """An HTTP answer, of any status."""

    status: int
    headers: Any
    body: bytes = field(repr=False)

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Shop:
    """`folder` is its data; `options` go to `up`, `env` to its environment, such as DATABASE_URL."""

    def __init__(self, folder, *options, env=None):
        self.folder = Path(folder)
        self._options, self._env = options, env or {}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Open the shop; returns when its first page answers. May be called again after `stop` or `crash`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "manage.py", "up", "--port", "0", "--data", str(self.folder), *self._options]
        with (self.folder / "up.log").open("ab") as log:
            self._up = subprocess.Popen(argv, cwd=CHECKOUT, env=self.environment(), stdout=log, stderr=log)
        try:
            until(self._open_or_ended, within=OPENING, what="the shop to open")
        except pytest.fail.Exception:
            self.stop()  # else its processes would outlive the test
            raise
        if self._up.poll() is not None:
            pytest.fail(f"The shop did not open:\n{(self.folder / 'up.log').read_text()[-4000:]}")

    def stop(self):
        """Stop as Ctrl-C does. Returns the seconds it took and fails past 10."""
        began = time.monotonic()
        if self._up.poll() is None:
            self._up.send_signal(signal.SIGINT)
        try:
            self._up.wait(10)
        finally:
            self._up.kill()
        return time.monotonic() - began

    def crash(self):
        """Kill the supervisor itself with SIGKILL; on Linux its children die with it."""
        pids = [pid for pid in self.facts["processes"].values() if pid]
        self._up.kill()
        self._up.wait()
        until(lambda: not any(map(runs, pids)), within=10, what="the children to die with their supervisor")

    def environment(self):
        """For processes that work on this shop, such as `manage.py doctor`."""
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        return {**inherited, "WAYBILL_DATA": str(self.folder), **self._env}

    def manage(self, *arguments):
        """Run a `manage.py` command on this shop to its end."""
        argv = [sys.executable, "manage.py", *map(str, arguments)]
        return subprocess.run(argv, cwd=CHECKOUT, env=self.environment(), capture_output=True, text=True, timeout=120)

    @property
    def facts(self):
        """up.json as it is now: pids change when children are restarted."""
        return json.loads((self.folder / "up.json").read_text())

    @property
    def url(self):
        return self.facts["url"]

    def kill(self, name, number=signal.SIGKILL):
        """Send a signal to a process by its name in up.json. Returns the pid that had it."""
        pid = self.facts["processes"][name]
        os.kill(pid, number)
        return pid

    def until_restarted(self, name, old_pid, *, within=15):
        return until(
            lambda: self.facts["processes"][name] not in (None, old_pid) and self.facts["processes"][name],
            within=within,
            what=f"{name} to be restarted",
        )

    def get(self, path, *, key="staff", **headers):
        return self.ask("GET", path, key=key, headers=headers)

    def post(self, path, body=None, *, key="staff", headers=None):
        return self.ask("POST", path, body=body, key=key, headers=headers or {})

    def ask(self, method, path, *, body=None, key=None, headers=None, timeout=40):
        """One HTTP request; redirects are not followed. `key` is "customer", "staff" or None."""
        sent = {"Accept": "application/json, text/html", **(headers or {})}
        if key:
            sent["Authorization"] = f"Bearer {self.facts['api_keys'][key]}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, sent, method=method)
        try:
            with urllib.request.build_opener(NoRedirect).open(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            return Answer(answer.code, answer.headers, answer.read())

    def order(self, *, sku="MUG-RED", quantity=1, card="pm_card_visa", email="buyer@example.com", key=None):
        """Place an order over the API, as the customer's program would."""
        body = {
            "email": email,
            "items": [{"sku": sku, "quantity": quantity}],
            "shipping_address": ADDRESS,
            "shipping_method": "standard",
            "payment_method": card,
        }
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        return self.post("/api/v1/orders/", body, key="customer", headers=headers)

    def stock(self, sku):
        return self.get(f"/api/v1/products/{sku}/").json()["available"]

    def mailbox(self, *, to="", about=""):
        """The letters that arrived, newest first; to whom and about what as text that is contained."""
        found = mailbox.mails(self.folder / "mailbox", to=to)
        return [mail for mail in found if about in mail.subject]

    def code_for(self, email):
        """The newest code in the mailbox that shows an address to be somebody's."""
        [letter, *_] = until(lambda: self.mailbox(to=email, about="Your code"), within=60)
        text = mailbox.part(mailbox.read(mailbox.find(self.folder / "mailbox", letter.name)), "plain")
        return re.search(r"^([0-9A-Z-]{6,12})\s*$", text, re.MULTILINE)[1]

    def receipts(self):
        """Every receipt of a letter by the mail server, second receipts of the same one included."""
        return _json_lines(self.folder / "mailbox" / mailbox.RECEIPTS)

    def ledger(self):
        """What the bank says happened, one entry a movement."""
        return _json_lines(self.folder / "bank.jsonl")

    def _open_or_ended(self):
        return self._up.poll() is not None or self._answers()

    def _answers(self):
        try:
            # The pid tells our up.json from one that a crashed shop left.
            return self.facts["pid"] == self._up.pid and self.get("/healthz", key=None).status == 200
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return False


def runs(pid):
    """Whether a process runs under this pid; a dead one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _json_lines(path):
    # A line without its end is still being written.
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]
