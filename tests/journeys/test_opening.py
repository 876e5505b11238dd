"""From a fresh clone to an order, with nothing but Python: long, because it installs everything anew (--full)."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.rig import CHECKOUT, NOT_INHERITED, until

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(os.environ.get("WAYBILL_FULL") != "1", reason="installs every requirement anew: --full"),
]
ENVIRONMENTS = {"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "UV_CACHE_DIR"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh") / "waybill"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", CHECKOUT, folder], check=True)
    return folder


def bare(clone):
    """This machine's environment without what is installed, remembered or running on it."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED | ENVIRONMENTS}
    return kept | {"XDG_CACHE_HOME": str(clone.parent / "cache"), "PIP_NO_CACHE_DIR": "1"}


def up(clone, *options):
    argv = [sys._base_executable, "manage.py", "up", "--port", "0", *options]
    began = time.monotonic()
    done = subprocess.run(argv, cwd=clone, env=bare(clone), capture_output=True, text=True, timeout=300)
    return done, time.monotonic() - began


def test_a_fresh_clone_sells_and_writes_its_letters_within_a_minute(clone):
    done, took = up(clone, "--smoke")

    print(f"fresh clone, --smoke: {took:.1f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert took < 60


def test_without_a_broker_too(clone):
    done, took = up(clone, "--smoke", "--no-broker")

    print(f"again, --smoke --no-broker: {took:.1f} s")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_second_start_shows_its_first_page_within_five_seconds(clone):
    up(clone, "--smoke")
    began = time.monotonic()
    argv = [sys._base_executable, "manage.py", "up", "--port", "0"]
    shop = subprocess.Popen(argv, cwd=clone, env=bare(clone), stdout=subprocess.DEVNULL)
    try:
        until((clone / "var" / "up.json").exists, within=60, what="the shop to open")
        took = time.monotonic() - began
    finally:
        shop.send_signal(signal.SIGINT)
        shop.wait(10)
    print(f"second start: open after {took:.1f} s")
    assert took < 5
