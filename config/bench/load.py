"""Orders over HTTP, at a whole shop: how many a second, how long each takes, and what it costs when all want the same
product, or when the broker hangs. `python -m config.bench.load SECONDS PID` prints JSON; its environment names a
throw-away shop, bank and broker, whose process is PID.
"""

import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import django
from django.conf import settings

from config import ports, programs
from config.bench.runner import running
from config.bench.ways import WAYS

CLIENTS: Final = (1, 8, 32)
FEW: Final = 8
CROWD: Final = 16  # clients at one product, and at as many products
PLENTY: Final = 1_000_000
OPENING: Final = 60.0  # seconds
ADDRESS: Final = {"name": "B", "line1": "1", "line2": "", "postal_code": "1", "city": "B", "country": "NL"}


@dataclass
class Load:
    """What some clients saw in some seconds."""

    seconds: float
    took: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # the status of every answer but 201

    def __add__(self, other: "Load") -> "Load":
        return Load(self.seconds + other.seconds, self.took + other.took, self.refused + other.refused)

    @property
    def per_second(self) -> float:
        return len(self.took) / self.seconds

    def facts(self) -> dict[str, Any]:
        in_order = sorted(self.took)
        return {
            "per_second": self.per_second,
            "p50_ms": statistics.median(in_order) * 1000,
            "p99_ms": in_order[max(int(len(in_order) * 0.99) - 1, 0)] * 1000,
            "orders": len(in_order),
            "refused": self.refused,
        }


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection

    from config.opening import open_shop

    seconds = float(sys.argv[1])
    key = open_shop(Path(os.environ["WAYBILL_DATA"]), with_demo=True)["api_keys"]["customer"]
    skus, vendor = _shelf(), connection.vendor
    connection.close()
    with ExitStack() as stack:
        port = stack.enter_context(_web())
        stack.enter_context(running(WAYS[1]))
        _load(port, key, skus, clients=max(CLIENTS), seconds=min(seconds, 3.0))  # every thread has worked once
        facts = {
            "database": vendor,
            "clients": {str(n): _load(port, key, skus, clients=n, seconds=seconds).facts() for n in CLIENTS},
            "hot_item": _hot_item(port, key, skus, seconds),
            "frozen_broker": _frozen_broker(port, key, skus, seconds, broker=int(sys.argv[2])),
        }
    print(json.dumps(facts))  # noqa: T201


def _shelf() -> list[str]:
    from orders.inventory import set_on_hand
    from orders.models import Product

    skus = [f"BENCH-{n}" for n in range(CROWD)]
    for sku in skus:
        product = Product.objects.create(sku=sku, slug=sku.lower(), name=sku, price=1250)
        set_on_hand(product=product, on_hand=PLENTY, note="benchmark")
    return skus


@contextmanager
def _web() -> Iterator[int]:
    """The web process as `up` runs it, where SITE_URL says; the port."""
    port = urlsplit(settings.SITE_URL).port or 0
    with ports.listen(port) as listener:
        program = programs.web(fd=listener.fileno())
        argv = [*program.argv, "--log-level", "error"]
        process = subprocess.Popen(argv, pass_fds=program.pass_fds, stdout=sys.stderr)  # noqa: S603
        try:
            deadline = time.monotonic() + OPENING
            while not ports.answers_http(port, "/healthz"):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the web process does not answer within {OPENING:.0f} s")
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _hot_item(port: int, key: str, skus: Sequence[str], seconds: float) -> dict[str, float]:
    """The same clients, all at one product and each at its own; in turns, so that a busy machine slows both."""

    def half(wanted: Sequence[str]) -> Load:
        return _load(port, key, wanted, clients=CROWD, seconds=seconds / 2)

    cold, hot = half(skus), half(skus[:1])
    hot, cold = hot + half(skus[:1]), cold + half(skus)
    return {
        "one_sku_per_second": hot.per_second,
        "sixteen_skus_per_second": cold.per_second,
        "ratio": hot.per_second / cold.per_second,
    }


def _frozen_broker(port: int, key: str, skus: Sequence[str], seconds: float, *, broker: int) -> dict[str, Any]:
    """The same load with the broker at work and with its process stopped; in turns."""

    def half() -> Load:
        return _load(port, key, skus, clients=FEW, seconds=seconds / 2)

    def frozen() -> Load:
        os.kill(broker, signal.SIGSTOP)
        try:
            return half()
        finally:
            os.kill(broker, signal.SIGCONT)

    well, hung = half(), frozen()
    hung, well = hung + frozen(), well + half()
    ratio = hung.facts()["p99_ms"] / well.facts()["p99_ms"]
    return {"at_work": well.facts(), "frozen": hung.facts(), "p99_ratio": ratio}


def _load(port: int, key: str, skus: Sequence[str], *, clients: int, seconds: float) -> Load:
    began = time.monotonic()
    with ThreadPoolExecutor(clients) as threads:
        seen = threads.map(lambda n: _client(port, key, skus[n % len(skus)], began + seconds), range(clients))
        together = sum(seen, Load(0.0))
    return together + Load(time.monotonic() - began)  # until the last answer: it counts, and so does its time


def _client(port: int, key: str, sku: str, until: float) -> Load:
    """One program that orders again as soon as it is answered, until the time is over."""
    seen, connection = Load(0.0), HTTPConnection(ports.HOST, port, timeout=60)
    while time.monotonic() < until:
        began = time.monotonic()
        status = _order(connection, key, sku)
        seen.took.append(time.monotonic() - began)
        if status != 201:
            seen.refused.append(status)
    connection.close()
    return seen


def _order(connection: HTTPConnection, key: str, sku: str) -> int:
    body = {
        "email": "bench@example.com",
        "items": [{"sku": sku, "quantity": 1}],
        "shipping_address": ADDRESS,
        "shipping_method": "standard",
        "payment_method": "pm_card_visa",
    }
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": secrets.token_hex(16),
    }
    connection.request("POST", "/api/v1/orders/", json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


if __name__ == "__main__":
    main()
