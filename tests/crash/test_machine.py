"""Whatever clients, staff and the bank do, in any order: the shop is as its model of a hundred lines says."""

import pytest

from tests.crash.runs import FULL, Run, play_all

pytestmark = pytest.mark.crash

EXAMPLES, STEPS = (2000, 50) if FULL else (20, 20)
ENOUGH = EXAMPLES // 5  # of each rule: hypothesis chooses, and a rule that is never followed proves nothing
RULES = ("check_out", "repeat", "cancel", "refunds", "shipments", "event", "time_passes")


@pytest.fixture(scope="module")
def machines(tmp_path_factory, postgres_server):
    options = ("--examples", str(EXAMPLES), "--steps", str(STEPS))
    runs = [
        Run("machine", tmp_path_factory.mktemp(f"machine-{kind}"), kind, options) for kind in ("sqlite", "postgresql")
    ]
    return [report.facts for report in play_all(runs, postgres_server)]


def test_the_shop_does_what_its_model_does(machines):
    assert [machine["wrong"] for machine in machines] == ["", ""]


def test_every_rule_was_followed(machines):
    rare = [(rule, machine["took"].get(rule, 0)) for machine in machines for rule in RULES]

    assert [pair for pair in rare if pair[1] < ENOUGH] == []
