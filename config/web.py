"""The web process of a local shop: `python -m config.web [--opening FD [--demo]] GUNICORN-ARGUMENT...`

With `--opening` it first makes the database ready and tells FD who may log in (see config.opening). Done
here, so that the first page waits for one reading of all the code instead of two.
"""

import argparse
import json
import multiprocessing
import os
import sys
from pathlib import Path

import django

from config.refusal import settings_or_exit


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.web", allow_abbrev=False)
    parser.add_argument("--opening", metavar="FD", type=int, help="open the shop and write the logins there")
    parser.add_argument("--demo", action="store_true", help="load demo data when opening")
    given, for_gunicorn = parser.parse_known_args()
    settings_or_exit()
    if given.opening is not None:
        open_shop(given.opening, with_demo=given.demo)
    _run_gunicorn(for_gunicorn)


def open_shop(fd: int, *, with_demo: bool) -> None:
    """Exits with 1 when the shop cannot be opened; why is in the log."""
    django.setup()
    # A process of its own, which leaves gunicorn no connection to share among its workers ...
    opening = multiprocessing.get_context("fork").Process(target=_open, args=(fd, with_demo))
    opening.start()
    os.close(fd)
    # ... and time to read all views meanwhile.
    import config.wsgi  # noqa: F401

    opening.join()
    if opening.exitcode:
        sys.exit(1)


def _open(fd: int, with_demo: bool) -> None:
    from config import opening  # imports models, which exist only after the set-up

    logins = opening.open_shop(Path(os.environ["WAYBILL_DATA"]), with_demo=with_demo)
    with os.fdopen(fd, "w") as out:
        json.dump(logins, out)


def _run_gunicorn(arguments: list[str]) -> None:
    from gunicorn.app.wsgiapp import run  # type: ignore[import-untyped]

    sys.argv = ["gunicorn", *arguments]
    run()


if __name__ == "__main__":
    main()
