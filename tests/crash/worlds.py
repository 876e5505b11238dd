"""Random worlds: a few buyers, little stock, a moody bank, several processes at once, and many of them killed.

A world is its seed: what is asked, of whom, in which order and where it dies all follow from it (how processes that
run at once overtake each other does not). `python -m tests.crash worlds FOLDER --seed 7 --worlds 1` plays one again.
"""

import argparse
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.crash import world_parts
from tests.crash.actors import Ending, Part
from tests.crash.boundaries import SIDES, Kill
from tests.crash.recovery import judge, recover
from tests.crash.stage import Stage
from tests.crash.stories import Story

OPERATIONS = 6  # of a world; the same in each run, so that runs add up
AT_ONCE = 3
DEADLY = (0.45, 0.95)  # how many of a world's operations are to die; some come to their end before their death
REPRISES = 4  # a client whose first try left nothing behind begins anew: that takes two
# How often each kind is chosen, where a flow has it. Statements are many and alike; what lies around them decides.
WEIGHTS = {"sql": 40, "commit": 22, "rollback": 5, "gateway": 22, "smtp": 15, "file": 5, "answer": 12}
# Boundaries, more or less, of a relay's round.
IN_A_RELAY = {"sql": 60, "commit": 10, "gateway": 4, "smtp": 14, "answer": 1}

Counts = dict[str, dict[str, int]]  # how many boundaries of each kind a flow has, undisturbed


@dataclass
class Tally:
    """What some worlds came to."""

    first_seed: int
    worlds: int = 0
    checkouts: int = 0
    operations: int = 0
    kills: int = 0
    pressed: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, world: "World", hits: list[dict[str, Any]]) -> None:
        self.worlds += 1
        self.checkouts += world.checkouts
        self.operations += world.operations
        self.kills += len(hits)
        self.pressed = world.stage.pressed
        self.kinds.update(hit["kind"] for hit in hits)
        self.points.update(hit["point"] for hit in hits)


class World:
    def __init__(self, stage: Stage, seed: int, counts: Counts) -> None:
        self.stage, self.seed, self._counts = stage, seed, counts
        self.dice = random.Random(seed)
        self.stories: list[Story] = []
        self.log: list[str] = []
        self.operations = self.checkouts = 0
        self._deadliness = self.dice.uniform(*DEADLY)

    def play(self) -> list[str]:
        """Everything from opening to judgement. Returns the violations."""
        self.stage.clear()
        self.skus = self.stage.ask(
            world_parts.furnish, [self.dice.randint(1, 6) for _ in range(self.dice.randint(1, 3))]
        )
        while self.operations < OPERATIONS:
            self._wave(self.dice.randint(1, AT_ONCE))
            if self.dice.random() < 0.3:
                self._let_time_pass()
        broke = self._last_things()
        mail_kills = sum(hit["point"] == "E2" for hit in self.stage.hits())
        return [*broke, *judge(self.stage, self.stories, mail_kills=mail_kills)]

    def _wave(self, count: int) -> None:
        """So many operations at once, each in a process of its own."""
        rush = self.dice.random() < 0.2  # all want the same few things, and at once
        moves = [world_parts.checkout(self) if rush else world_parts.any_move(self) for _ in range(count)]
        self.operations += count
        parts = [self._part(move) for move in moves]
        begun = [self.stage.player(i).start(part) for i, part in enumerate(parts)]
        for move, part, actor in zip(moves, parts, begun, strict=True):
            self._note(move, part, actor.ending())

    def _part(self, move: "world_parts.Move") -> Part:
        kill = self._kill(move.flow) if move.flow and self.dice.random() < self._deadliness else None
        return Part(move.function, move.args, move.flow, move.point, kill)

    def _kill(self, flow: str) -> Kill:
        """The n-th of a kind, so that short flows meet their deaths too."""
        there = self._counts.get(flow, IN_A_RELAY)
        kinds = [kind for kind in WEIGHTS if there.get(kind)]
        [kind] = self.dice.choices(kinds, [WEIGHTS[kind] for kind in kinds])
        return Kill(self.dice.randint(1, there[kind]), self.dice.choice(SIDES), kind)

    def _note(self, move: "world_parts.Move", part: Part, ending: Ending) -> None:
        if move.story is not None:
            self.stories[move.story].answers.append(ending.answer)
        heard = f"→ {ending.answer['status']}" if ending.answer else "→ nothing heard"
        died = f", killed {part.kill}" if ending.killed else ""
        self.log.append(f"{move.text} {heard}{died}{ending.broke}")

    def _let_time_pass(self) -> None:
        seconds = self.dice.choice((1, 5, 13, 20, 40, 130))
        self.stage.move_time(seconds)
        self.log.append(f"{seconds} s pass")

    def _last_things(self) -> list[str]:
        """The deaths are over. Relays recover and clients ask again, until all is quiet and everybody is content."""
        if self.dice.random() < 0.5:
            for move in world_parts.all_events(self):
                self._undisturbed(move)
        for _ in range(REPRISES):
            unrest = recover(self.stage)
            waiting = [i for i, story in enumerate(self.stories) if not story.content]
            if unrest or not waiting:
                break
            for i in waiting:
                self._undisturbed(world_parts.repeat(self, i, f"{self.stories[i].facts['tag']} asks once more"))
        left = [
            f"{self.stories[i].facts['tag']} never got a final answer: {self.stories[i].answers[-1]}" for i in waiting
        ]
        return [*unrest, *left, *(line for line in self.log if "Traceback" in line)]

    def _undisturbed(self, move: "world_parts.Move") -> None:
        part = Part(move.function, move.args, move.flow, move.point)
        self._note(move, part, self.stage.player(0).start(part).ending())


def play(stage: Stage, seed: int, counts: Counts, tally: Tally) -> list[str]:
    """One world; its figures go to `tally`. A violation comes with the whole story."""
    world, began = World(stage, seed, counts), time.monotonic()
    wrong = world.play()
    tally.add(world, stage.hits())
    tally.seconds += time.monotonic() - began
    if wrong:
        tally.violations.append("\n".join([f"WORLD {seed}", *wrong, "the story:", *world.log]))
    return wrong


def main(stage: Stage, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash worlds FOLDER", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the first world")
    parser.add_argument("--worlds", type=int, default=20)
    given = parser.parse_args(arguments)
    counts, tally = world_parts.counted(stage), Tally(given.seed)
    stage.play_worlds()
    for seed in range(given.seed, given.seed + given.worlds):
        play(stage, seed, counts, tally)
    print("\n\n".join(tally.violations))
    print(report(tally))
    print(json.dumps(vars(tally)))
    return int(bool(tally.violations))


def report(tally: Tally) -> str:
    return "\n".join(
        [
            f"seeds {tally.first_seed} to {tally.first_seed + tally.worlds - 1}: {tally.worlds} worlds in"
            f" {tally.seconds:.0f} s, {tally.checkouts} checkouts, {tally.operations} operations, {tally.kills} kills,"
            f" {len(tally.violations)} worlds with a violation",
            f"deliveries that died with three workers, and that a person retried: {tally.pressed}",
            "kills by kind:  " + ", ".join(f"{kind} {count}" for kind, count in sorted(tally.kinds.items())),
            "kills by point: " + ", ".join(f"{point} {count}" for point, count in sorted(tally.points.items())),
        ]
    )
