"""The shop's web process with a weak heart: `gunicorn tests.crash.dying_web:application --workers 1 --preload`.

A buyer whose e-mail begins with `dies-before-`, `dies-after-` or `dies-late-` takes the process that serves them
down with SIGKILL: before the charge is sent, after the bank has answered, or after the second commit. Each death
is first written to the file DYING_WEB_HITS, so that a test can tell that it happened where it should.
"""

import os
import signal
from pathlib import Path

from config.wsgi import application
from orders import checkout
from orders.gateways import stripe

__all__ = ["application"]

HITS = Path(os.environ["DYING_WEB_HITS"])

_charge, _settle = stripe.charge, checkout.settle


def die(where, email):
    if not email.startswith(f"dies-{where}-"):
        return
    with HITS.open("a") as hits:
        hits.write(f"{where} {email}\n")
        hits.flush()
        os.fsync(hits.fileno())
    os.kill(os.getpid(), signal.SIGKILL)


def charge(request):
    die("before", request.email)
    outcome = _charge(request)
    die("after", request.email)
    return outcome


def settle(**facts):
    order = _settle(**facts)
    die("late", order.email)
    return order


stripe.charge = charge
checkout.settle = settle
