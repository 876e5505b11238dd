"""The processes of a local shop, and the environment in which they find each other."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

from config.env import BASE_DIR, env, webhook_secrets
from config.ports import HOST
from config.supervisor import Program

WEB_OPTIONS: Final = {
    "--worker-class": "gthread",
    "--workers": "2",
    "--threads": "16",
    "--timeout": "30",
    "--graceful-timeout": "2",
}
WEB_SWITCHES: Final = ("--no-control-socket", "--preload")


def offer(**addresses: str) -> None:
    """Put these into the environment, for the settings of this process and its children, where nobody gave others."""
    for name, address in addresses.items():
        impose(name, env.str(name, "") or address)


def impose(name: str, value: str) -> None:
    os.environ[name] = value
    os.environ.pop(f"{name}_FILE", None)  # else the file's would count


def database_url(folder: Path) -> str:
    given: str = env.str("DATABASE_URL", "")
    return given or f"sqlite:///{quote(str(folder))}/waybill.sqlite3"


def web(*, fd: int) -> Program:
    """Gunicorn on a socket that the supervisor holds: while it restarts, buyers wait and are not refused."""
    options = [word for option in WEB_OPTIONS.items() for word in option]
    argv = [sys.executable, "-m", "config.web", "config.wsgi", "--bind", f"fd://{fd}", *WEB_SWITCHES, *options]
    return Program(name="web", argv=argv, pass_fds=[fd])


def opening_web(*, fd: int, logins: int, with_demo: bool) -> Program:
    """The same at the start of the shop: it makes the database ready first, and writes the logins to a pipe."""
    program = web(fd=fd)
    first = ["--opening", str(logins), *(["--demo"] if with_demo else [])]
    return replace(program, argv=[*program.argv, *first], pass_fds=[fd, logins])


def command(name: str) -> Program:
    """A process of ours that is a command: relay, worker."""
    return Program(name=name, argv=[sys.executable, str(BASE_DIR / "manage.py"), name])


def bank(*, port: int, folder: Path, shop: str) -> Program:
    """The stand-in for the payment service, which tells `shop` of what happens there."""
    argv = [sys.executable, "-m", "orders.gateways.bank", "--port", str(port), "--ledger", str(folder / "bank.jsonl")]
    for secret in webhook_secrets(folder)[:1]:
        # With "=": a secret may begin with a dash.
        argv += [f"--webhook-url={shop}/webhooks/stripe/", f"--webhook-secret={secret}"]
    return Program(name="bank", argv=argv, serves=True)


def smtp(*, port: int, folder: Path) -> Program:
    argv = [sys.executable, "-m", "notifications.mail.mailbox", "--port", str(port)]
    return Program(name="smtp", argv=[*argv, "--folder", str(folder / "mailbox")], serves=True)


def url(port: int) -> str:
    return f"http://{HOST}:{port}"
