"""Kill a flow before and after each of its boundaries, let everybody carry on, and check the books.

`python -m tests.crash sweep FOLDER` by hand; the tests read the report that it prints last, one line of JSON.
"""

import argparse
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.crash.actors import Part
from tests.crash.boundaries import SIDES, Kill
from tests.crash.flow import Flow
from tests.crash.flows import FLOWS
from tests.crash.pipeline import carry_on
from tests.crash.recovery import judge, recover
from tests.crash.stage import Stage
from tests.crash.stories import Story


@dataclass
class Swept:
    """What became of one flow."""

    flow: str
    least: int
    boundaries: list[list[Any]] = field(default_factory=list)
    firsts: int = 0  # deaths after which each second death was died, when pairs were swept
    kills: int = 0
    hits: int = 0
    points: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def sweep(stage: Stage, flow: Flow) -> Swept:
    """Every boundary of `flow`, before and after."""
    stage.clear()
    swept = Swept(flow.name, flow.least, boundaries=_count(stage, flow))
    kills = [Kill(n, side) for n, *_ in swept.boundaries for side in SIDES]
    tags = [f"{flow.name}-{kill.side}-{kill.n}" for kill in kills]
    stories = [Story(facts) for facts in stage.ask(_prepared, flow.name, tags)]
    for kill, story in zip(kills, stories, strict=True):
        _act(stage, flow, story, kill=kill)
    swept.kills, swept.hits = len(kills), len(stage.hits())
    swept.points = dict(Counter(hit["point"] for hit in stage.hits()))
    swept.wrong = [*_missed(stage, kills), *_carry_on(stage, flow, stories)]
    return swept


def sweep_pairs(stage: Stage, flow: Flow) -> Swept:
    """Each death, and after it each death of whoever carries on: the client's second try, or the relay.

    The first death is died once for each world that it can leave: before everything, and behind each boundary that
    leaves something lasting. What only reads, or is not committed yet, dies with its process; `sweep` dies there all
    the same. The second death is died before each boundary and after the last.
    """
    stage.clear()
    swept = Swept(flow.name, flow.least, boundaries=_count(stage, flow))
    firsts = [Kill(1, "before"), *(Kill(n, "after") for n, _, _, lasting in swept.boundaries if lasting)]
    for first in firsts:
        stage.clear()
        _second_deaths(stage, flow, first, swept)
    swept.firsts = len(firsts)
    return swept


def _second_deaths(stage, flow, first, swept):
    stories, n = [], 1
    while _dies_twice(stage, flow, first, Kill(n, "before"), stories, swept):
        n += 1
    _dies_twice(stage, flow, first, Kill(n - 1, "after"), stories, swept)  # there were n - 1 boundaries
    swept.hits += len(stage.hits())
    swept.wrong += _carry_on(stage, flow, stories)


def _dies_twice(stage, flow, first, second, stories, swept):
    """Whether the second try was killed too; if not, it has come to its end."""
    tag = f"{flow.name}-{first.side}-{first.n}-{second.side}-{second.n}"
    [facts] = stage.ask(_prepared, flow.name, [tag])
    stories.append(Story(facts))
    _act(stage, flow, stories[-1], kill=first)
    killed = _again(stage, flow, stories[-1], kill=second).killed
    swept.kills += 1 + killed
    return killed


def _prepared(name, tags):
    return [FLOWS[name].prepare(tag) for tag in tags]


def _count(stage, flow):
    """The boundaries of the undisturbed flow, once it has been seen to do the same twice."""
    first, second = (_undisturbed(stage, flow, turn) for turn in ("first", "second"))
    differ = [pair for pair in itertools.zip_longest(first, second) if pair[0] != pair[1]]
    assert not differ, f"{flow.name} is not the same twice: {differ[:5]}"
    return first


def _undisturbed(stage, flow, turn):
    [facts] = stage.ask(_prepared, flow.name, [f"{flow.name}-{turn}"])
    ending = _act(stage, flow, Story(facts))
    assert not ending.broke and not ending.killed, ending
    return ending.seen


def _act(stage, flow, story, *, kill=None):
    ending = _alone(stage, Part(flow.act, (story.facts,), flow.name, flow.point, kill, count=True))
    story.answers.append(ending.answer)
    return ending


def _again(stage, flow, story, *, kill):
    """The second try, killed too: of the client who was cut off, or of the worker that takes the delivery over."""
    if not flow.by_relay:
        return _act(stage, flow, story, kill=kill)
    return _alone(stage, Part(carry_on, (story.facts,), flow.name, flow.point, kill))


def _alone(stage, part):
    """One part in a process of its own."""
    actor = stage.actor()
    try:
        return actor.start(part).ending()
    finally:
        actor.send_home()


def _missed(stage, kills):
    hit = {(hit["n"], hit["side"]) for hit in stage.hits()}
    return [f"not hit: {kill}" for kill in kills if (kill.n, kill.side) not in hit]


def _carry_on(stage, flow, stories):
    """What happens after every death: clients try again, relays recover, clients ask for the last time."""
    _try_again(stage, flow, stories)
    unrest = recover(stage)
    _try_again(stage, flow, stories)
    mailed = sum(hit["point"] == "E2" for hit in stage.hits())
    return [*unrest, *stage.ask(_wrong, flow.name, stories), *judge(stage, stories, mail_kills=mailed)]


def _wrong(name, stories):
    return [f"{s.facts['tag']}: {line}" for s in stories for line in FLOWS[name].wrong(s.facts, s.heard)]


def _try_again(stage, flow, stories):
    if flow.by_relay:
        return
    actor = stage.actor()
    for story in stories:
        if not story.content:
            ending = actor.start(Part(flow.act, (story.facts,), flow.name, flow.point)).ending()
            assert not ending.broke, ending.broke
            story.answers.append(ending.answer)
    actor.send_home()


def table(swept: list[Swept]) -> str:
    lines = [f"{'flow':14}{'boundaries':>11}{'kills':>7}{'hits':>7}  by kind and point"]
    for one in swept:
        kinds = Counter(kind for _, kind, *_ in one.boundaries)
        said = " ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        reached = " ".join(f"{point}:{count}" for point, count in sorted(one.points.items()))
        lines.append(f"{one.flow:14}{len(one.boundaries):11}{one.kills:7}{one.hits:7}  {said} | {reached}")
    return "\n".join(lines)


def main(stage: Stage, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash sweep FOLDER", description=__doc__)
    parser.add_argument("--flow", action="append", choices=list(FLOWS))
    parser.add_argument("--pairs", action="store_true", help="also every second death")
    parser.add_argument("--list", action="store_true", help="print each boundary")
    given = parser.parse_args(arguments)
    work = sweep_pairs if given.pairs else sweep
    swept = [work(stage, FLOWS[name]) for name in given.flow or FLOWS]
    if given.list:
        print("\n".join(f"{one.flow} {n} {kind} {text}" for one in swept for n, kind, text, _ in one.boundaries))
    print(table(swept))
    print("\n".join(f"{one.flow}: {line}" for one in swept for line in one.wrong))
    print(json.dumps([vars(one) for one in swept]))
    return int(any(one.wrong for one in swept))
