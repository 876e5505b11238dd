"""Every boundary of every flow is died at, before and after, and everybody carries on: no book is wrong afterwards.

Processes are killed, machines are not: what a power cut does is not shown here.
"""

import pytest

from tests.crash.runs import FULL, Run, play_all

pytestmark = pytest.mark.crash

# Two at a time, of about the same length. The five flows of the promise are on both databases, the letter and the
# question that follow them on SQLite; everything is on both in the long run, with the variations.
PROMISED = (("checkout", "cancel"), ("webhook", "refund", "ship"))
FOLLOWING = (("letter", "question"), ("form",))
VARIATIONS = (("cancel-unpaid",), ("ship-held", "return", "confirmation"))
DATABASES = ("sqlite", "postgresql")


def flows_of(kind):
    shares = (PROMISED, FOLLOWING, VARIATIONS) if FULL else (PROMISED, FOLLOWING) if kind == "sqlite" else (PROMISED,)
    return [[flow for share in shares for flow in share[half]] for half in (0, 1)]


@pytest.fixture(scope="module", params=DATABASES)
def swept(request, tmp_path_factory):
    """What became of each flow, by its name."""
    return _play(request, tmp_path_factory)


def _play(request, tmp_path_factory, *options):
    runs = [
        Run("sweep", tmp_path_factory.mktemp(f"sweep-{request.param}"), request.param, (*_chosen(part), *options))
        for part in flows_of(request.param)
    ]
    reports = play_all(runs, request.getfixturevalue("postgres_server"))
    return {one["flow"]: one for report in reports for one in report.facts}


def _chosen(names):
    return tuple(word for name in names for word in ("--flow", name))


def test_a_kill_at_any_boundary_leaves_no_book_wrong(swept):
    wrong = [f"{name}: {line}" for name, flow in swept.items() for line in flow["wrong"]]

    assert wrong == []


def test_every_boundary_was_hit_on_both_sides(swept):
    assert {name: (flow["kills"], flow["hits"]) for name, flow in swept.items()} == {
        name: (2 * len(flow["boundaries"]),) * 2 for name, flow in swept.items()
    }


def test_the_instrument_sees_all_kinds_of_boundaries(swept):
    """Fewer than there must be, and a kill in between would have been missed."""
    few = {name: len(flow["boundaries"]) for name, flow in swept.items() if len(flow["boundaries"]) < flow["least"]}
    kinds = {kind for flow in swept.values() for _, kind, *_ in flow["boundaries"]}

    assert (few, kinds - {"smtp"}) == ({}, {"sql", "commit", "gateway", "answer"})
    assert "smtp" in kinds or "letter" not in swept


def test_a_checkout_was_killed_at_every_crash_point(swept):
    assert set(swept["checkout"]["points"]) == {f"C{i}" for i in range(8)}


@pytest.mark.full
@pytest.mark.skipif(not FULL, reason="kills twice in each of some thousand orders: --full")
@pytest.mark.parametrize("pairs", DATABASES, indirect=True)
def test_a_second_kill_at_any_boundary_of_those_who_carry_on_leaves_no_book_wrong(pairs):
    wrong = [f"{name}: {line}" for name, flow in pairs.items() for line in flow["wrong"]]

    assert wrong == []
    assert all(flow["hits"] == flow["kills"] > 2 * len(flow["boundaries"]) for flow in pairs.values())
    assert all(flow["firsts"] > 2 for flow in pairs.values())


@pytest.fixture
def pairs(request, tmp_path_factory):
    return _play(request, tmp_path_factory, "--pairs")
