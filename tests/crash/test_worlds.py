"""Random crash worlds, on both databases at once. WAYBILL_WORLDS=n plays n of them, WAYBILL_SEED=n the n-th again.

With CI=true they are the same in each run; else nobody has seen them before.
"""

from collections import Counter

import pytest

from tests.crash.points import CHECKOUT
from tests.crash.runs import SEED, WORLDS, play_worlds

pytestmark = pytest.mark.crash

FLOOR = max(1, WORLDS // 100)  # deaths at each crash point of a checkout, at least: 1 in 100 worlds, 5 in 500


@pytest.fixture(scope="module")
def worlds():
    return [report.facts for report in play_worlds()]


def test_no_world_ends_with_a_wrong_book(worlds):
    violations = [violation for world in worlds for violation in world["violations"]]

    assert not violations, "\n\n".join(violations)


@pytest.mark.skipif(SEED is not None, reason="one world alone proves nothing of this")
def test_processes_died_at_every_crash_point_of_a_checkout(worlds):
    deaths = sum((Counter(world["points"]) for world in worlds), Counter())

    assert {point: deaths[point] for point in CHECKOUT if deaths[point] < FLOOR} == {}


@pytest.mark.skipif(SEED is not None, reason="one world alone proves nothing of this")
def test_a_third_of_all_operations_was_killed(worlds):
    operations, kills = (sum(world[what] for world in worlds) for what in ("operations", "kills"))

    assert 0.25 < kills / operations < 0.65
