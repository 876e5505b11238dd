"""Whether the time an answer takes tells who has an account: `python -m config.bench.timing PAIRS` prints JSON.

The same request for an address that has an account and for one that has none, in random order, in one process of the
site itself: without a network between, what tells anything tells most. Compared by Welch's t.
"""

import gc
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import django

PASSWORD: Final = "correct horse battery"  # noqa: S105  of nobody outside this measurement
WARM_UP: Final = 10  # pairs
KEPT: Final = 0.95  # of all answers, the quickest: a pause of the machine hides what there is to see
Ask = Callable[[str], Any]


def main() -> None:
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ALLOWED_HOSTS = ["*"]
    settings.ACCOUNT_RATE_LIMITS = False  # one address asks more in a minute than any visitor may
    pairs = int(sys.argv[1])
    call_command("migrate", verbosity=0)
    _people(pairs + WARM_UP)
    print(json.dumps({"pairs": pairs, **{name: _compared(ask, pairs) for name, ask in _questions()}}))  # noqa: T201


def _people(number: int) -> None:
    """Known addresses, each asked about once for each question."""
    from allauth.account.models import EmailAddress
    from django.contrib.auth.hashers import make_password

    from accounts.models import User

    hashed = make_password(PASSWORD)
    users = User.objects.bulk_create(User(email=_address("known", n), password=hashed) for n in range(number))
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
    )


def _address(kind: str, n: int) -> str:
    return f"{kind:_<7}{n:06d}@example.org"


def _questions() -> Iterator[tuple[str, Ask]]:
    from django.test import Client

    def post(path: str, **fields: str) -> int:
        return Client().post(path, fields).status_code

    yield "login", lambda email: post("/accounts/login/", login=email, password="not the one")  # noqa: S106
    yield "reset", lambda email: post("/accounts/password/reset/", email=email)
    yield "sign-up", lambda email: post("/accounts/signup/", email=email, name="A", password1=PASSWORD)


def _compared(ask: Ask, pairs: int) -> dict[str, float]:
    """Sign-up makes an unknown address known: each is asked about once."""
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    gc.disable()
    for n in range(pairs + WARM_UP):
        for kind in random.sample(list(took), k=2):
            took[kind].append(_timed(ask, _address(kind, n)))
        gc.collect(0)
    gc.enable()
    known, unknown = took["known"][WARM_UP:], took["unknown"][WARM_UP:]
    most = sorted(known + unknown)[math.ceil(2 * pairs * KEPT) - 1]
    quick = ([one for one in known if one <= most], [one for one in unknown if one <= most])
    medians = {"known_ms": statistics.median(known) * 1e3, "unknown_ms": statistics.median(unknown) * 1e3}
    return {**medians, "t": _welch(known, unknown), "t_of_the_quick": _welch(*quick)}


def _timed(ask: Ask, email: str) -> float:
    started = time.perf_counter()
    ask(email)
    return time.perf_counter() - started


def _welch(one: list[float], other: list[float]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


if __name__ == "__main__":
    main()
