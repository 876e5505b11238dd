"""One shop for each database, for all journeys: they differ in whom and what they buy."""

import json

import pytest

from tests.journeys.tables import rows, runners
from tests.postgres import database, postgres_server
from tests.rig import Shop, until

__all__ = ["postgres_server"]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shop(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"journeys-{request.param}")
    if request.param == "sqlite":
        with Shop(folder) as shop:
            yield staffed(shop)
        return
    with database(request.getfixturevalue("postgres_server")) as url, Shop(folder, env={"DATABASE_URL": url}) as shop:
        yield staffed(shop)


def staffed(shop):
    """The first page answers before relay and worker are at their places; these tests look at what those do."""
    until(lambda: runners(shop) == {"relay", "worker"}, within=60, what="relay and worker to be at work")
    return shop


@pytest.fixture
def books_balance(shop):
    """Ask `doctor`; what it finds is the failure."""

    def ask():
        answer = shop.manage("doctor", "--json")
        said = json.loads(answer.stdout)
        wrong = [check for check in said["invariants"] if check["violations"]]
        assert (answer.returncode, said["ok"], wrong) == (0, True, [])

    return ask


@pytest.fixture
def no_server_error(shop):
    """The web process has logged no failure of its own since the test began."""
    log = shop.folder / "logs" / "web.log"
    began = log.stat().st_size
    yield
    assert "Internal Server Error" not in log.read_text()[began:]
    assert rows(shop, "SELECT count(*) FROM notifications_delivery WHERE state = 'dead'") == [(0,)]
