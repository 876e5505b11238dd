"""`manage.py up` as a person meets it: real processes, a real shop."""

import stat
import subprocess
import sys

import pytest

from config import ports
from tests.rig import CHECKOUT, Shop, runs, until

pytestmark = pytest.mark.crash

PATIENCE = 90  # seconds; for machines that do much else, a free one takes two


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with Shop(tmp_path_factory.mktemp("shop")) as running:
        yield running


def up(shop, *options):
    """A further `up`, run to its end."""
    argv = [sys.executable, "manage.py", "up", *options]
    return subprocess.run(argv, cwd=CHECKOUT, env=shop.environment(), capture_output=True, text=True, timeout=120)


def test_an_order_is_charged_and_both_letters_come(shop):
    number = shop.order(email="first@example.com").json()["number"]

    until(lambda: len(shop.mailbox(about=number)) == 2, within=PATIENCE, what="two letters")

    assert sorted(mail.to for mail in shop.mailbox(about=number)) == ["first@example.com", "shipping@waybill.example"]
    assert [entry["status"] for entry in shop.ledger() if entry["kind"] == "charge"][-1:] == ["succeeded"]


def test_the_facts_have_the_agreed_names_and_are_for_the_owner_alone(shop):
    facts = shop.facts

    assert set(facts) >= {"url", "pid", "processes", "broker_url", "bank_url", "smtp", "staff", "api_keys"}
    assert set(facts["processes"]) >= {"web", "worker", "relay", "bank", "broker"}
    assert (set(facts["staff"]), set(facts["api_keys"])) == ({"email", "password"}, {"customer", "staff"})
    assert stat.S_IMODE((shop.folder / "up.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["web", "worker", "relay", "bank", "broker", "smtp"])
def test_a_killed_process_is_restarted_and_the_shop_goes_on(shop, name):
    old = shop.kill(name)

    new = shop.until_restarted(name, old)
    number = until(lambda: shop.order().json().get("number"), within=30, what="an order to be taken")
    until(lambda: len(shop.mailbox(about=number)) == 2, within=PATIENCE, what="two letters")

    assert runs(new) and not runs(old)


def test_no_request_is_refused_while_the_web_process_restarts(shop):
    old = shop.kill("web")

    answers = [shop.get("/healthz", key=None).status for _ in range(20)]
    shop.until_restarted("web", old)

    assert answers == [200] * 20


def test_a_second_shop_on_the_same_folder_is_refused_by_name_of_the_first(shop):
    second = up(shop, "--port", "0", "--data", str(shop.folder))

    assert second.returncode == 1
    assert f"Process {shop.facts['pid']} already runs a shop on {shop.folder}" in second.stderr


def test_a_shop_stops_opens_again_crashes_and_opens_again(tmp_path):
    with Shop(tmp_path, "--no-demo", "--no-broker") as shop:
        first = shop.facts
        seconds = shop.stop()
        stopped_clean = not (tmp_path / "up.json").exists() and not any(map(runs, _pids(first)))

        shop.start()
        second = shop.facts
        keys_work = shop.get("/api/v1/orders/").status
        shop.crash()

    with ports.listen(0) as taken:
        port = taken.getsockname()[1]
        smoke = up(shop, "--smoke", "--no-broker", "--port", str(port), "--data", str(tmp_path))

    assert seconds < 5 and stopped_clean
    assert second["staff"] == first["staff"] and keys_work == 200
    assert stat.S_IMODE((tmp_path / "staff_password").stat().st_mode) == 0o600
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    assert f"Port {port} is taken; using " in smoke.stdout and "Smoke test passed" in smoke.stdout
    assert not (tmp_path / "up.json").exists()


def _pids(facts):
    return [pid for pid in facts["processes"].values() if pid]
