"""Seven broken designs, known from real shops. The worlds catch each: so their silence about ours means something."""

import pytest

from tests.crash.runs import FULL, Run, play_all

pytestmark = pytest.mark.crash

# Each on one of the databases, in the long run on both; the stock that oversells on both always.
SHARES = {"sqlite": (1, 3, 5, 7), "postgresql": (2, 4, 6, 7)}
ALL = range(1, 8)


@pytest.fixture(scope="module")
def hunts(tmp_path_factory, postgres_server):
    runs = [
        Run("mutants", tmp_path_factory.mktemp(f"mutants-{kind}"), kind, _chosen(ALL if FULL else share))
        for kind, share in SHARES.items()
    ]
    return [report.facts for report in play_all(runs, postgres_server)]


def _chosen(numbers):
    return tuple(word for number in numbers for word in ("--mutant", str(number)))


def test_every_broken_design_is_caught_within_sixty_worlds(hunts):
    caught = [one for hunt in hunts for one in hunt["caught"]]

    assert {one["mutant"]: one["world"] for one in caught if not one["world"]} == {}
    assert len({one["mutant"] for one in caught}) == 7


def test_with_its_checks_the_database_refuses_what_read_then_write_would_oversell(hunts):
    """The code is as broken as without them, and no world has sold more than it had."""
    found = [line for hunt in hunts for line in hunt["guarded"]["all"]]

    assert [line for line in found if "OVERSELL" in line] == []
