"""What may happen in a random world: who does what, to whom, with which luck."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.crash import buyer, flows, pipeline, points, staff
from tests.crash.actors import Part
from tests.crash.flow import Facts, order_body
from tests.crash.stage import Stage
from tests.crash.stories import Story

if TYPE_CHECKING:
    from tests.crash.worlds import World

CARDS = {
    "pm_card_visa": 46,
    "pm_card_chargeDeclined": 8,
    "pm_card_chargeDeclinedInsufficientFunds": 4,
    "pm_card_authenticationRequired": 6,
    "pm_bank_timeout_before_charge": 6,
    "pm_bank_timeout_after_charge": 10,
    "pm_bank_error_after_charge": 10,
    "pm_bank_late_success": 10,
    "pm_bank_wrong_amount": 3,
    "pm_card_pendingRefund": 2,
    "pm_card_refundFail": 2,
}
PATHS = ("create", "confirm", "confirm", "cancel", "retrieve", "list", "refund", "any")
MOODS = ("drop_before", "drop_after", "hang_after", "500_before", "500_after", "409", "429", "garbage", "empty")
COUNTED = ("checkout", "webhook", "refund", "cancel", "ship")  # flows of which the boundaries are counted


@dataclass(frozen=True)
class Move:
    """One operation: what an actor plays, and whose story its answer belongs to."""

    text: str
    function: Callable[..., None]
    args: tuple[Any, ...]
    flow: str
    point: Callable[[Any], str] | None
    story: int | None = None


def furnish(counts: list[int]) -> list[str]:
    """Products with so many units each. Returns their SKUs."""
    for i, units in enumerate(counts):
        buyer.product(f"THING-{i}", units=units, price=990 + 500 * i)
    return [f"THING-{i}" for i in range(len(counts))]


def counted(stage: Stage) -> dict[str, dict[str, int]]:
    """How many boundaries of each kind the flows have that a world kills."""
    counts = {}
    for name in COUNTED:
        stage.clear()
        facts, flow = stage.ask(flows.prepare, name, "count"), flows.FLOWS[name]
        ending = stage.player(0).start(Part(flow.act, (facts,), name, flow.point, count=True)).ending()
        counts[name] = dict(Counter(kind for _, kind, *_ in ending.seen))
    return counts


# -- moves -------------------------------------------------------------------------------------


def any_move(world: "World") -> Move:
    makers = [maker for maker, _ in MOVES]
    [maker] = world.dice.choices(makers, [weight for _, weight in MOVES])
    return maker(world) if world.stories else checkout(world)


def checkout(world: "World") -> Move:
    [card] = world.dice.choices(list(CARDS), list(CARDS.values()))
    wanted = world.dice.sample(world.skus, world.dice.randint(1, min(2, len(world.skus))))
    items = [(sku, world.dice.choice((1, 1, 1, 2))) for sku in wanted]
    name = f"buyer-{world.checkouts}"
    facts = {"verb": "checkout", "tag": name, "key": f"{world.seed}-{name}"}
    facts["order"] = order_body(f"{name}@example.com", items, card)
    world.checkouts += 1
    return _told(world, facts, f"{name} orders {items} with {card}")


def _told(world: "World", facts: Facts, text: str) -> Move:
    world.stories.append(Story(facts))
    return repeat(world, len(world.stories) - 1, text)


def again(world: "World") -> Move:
    """A client repeats its request, with the same key; it may still be at work."""
    i = world.dice.randrange(len(world.stories))
    return repeat(world, i, f"{world.stories[i].facts['tag']} asks again")


def repeat(world: "World", i: int, text: str) -> Move:
    """What the i-th story is about, once more."""
    facts = world.stories[i].facts
    if facts["verb"] == "checkout":
        return Move(text, buyer.check_out, (facts,), "checkout", points.checkout, i)
    point = points.parcel if facts["verb"] == "ship" else points.refund
    return Move(text, staff.decide, (facts,), facts["verb"], point, i)


def something_else(world: "World") -> Move:
    """The same key with another request: 422 when the first has come through, and a sale when it has not."""
    facts = _any_checkout(world)
    other = {**facts, "order": {**facts["order"], "email": "other@example.com"}}
    return Move(f"{facts['tag']} asks for something else", buyer.check_out, (other,), "checkout", points.checkout)


def _any_checkout(world: "World") -> Facts:
    placed = [story.facts for story in world.stories if story.facts["verb"] == "checkout"]
    facts: Facts = world.dice.choice(placed)
    return facts


def cancel(world: "World") -> Move:
    return _decision(world, "cancel", {"reason": "second thoughts"})


def refund(world: "World") -> Move:
    """Some of the money, or all of it, with or without putting the goods back."""
    amount = {"amount": world.dice.choice((100, 990, 2000))} if world.dice.random() < 0.5 else {}
    restock = not amount and world.dice.random() < 0.5
    return _decision(world, "refund", {**amount, "reason": "broken", "restock": restock})


def ship(world: "World") -> Move:
    return _decision(world, "ship", staff.PARCEL)


def _decision(world: "World", verb: str, asked: dict[str, Any]) -> Move:
    of = _any_checkout(world)
    name = f"{verb}-{len(world.stories)}"
    facts = {"verb": verb, "tag": name, "of": of["key"], "key": f"{world.seed}-{name}", "asked": asked}
    return _told(world, facts, f"{name} of {of['tag']}'s order, {asked}")


def event(world: "World") -> Move:
    """One of the bank's letters is brought: the last, an old one, or one that was brought before."""
    letters = world.stage.events()
    if not letters:
        return relay(world)
    body = world.dice.choice(letters)["body"]
    return _event(world, body, f"the bank's letter {json.loads(body)['type']} is brought")


def _event(world: "World", body: str, text: str) -> Move:
    return Move(text, buyer.bring_event, ({"verb": "webhook", "body": body},), "webhook", points.webhook)


def all_events(world: "World") -> list[Move]:
    """Everything the bank has ever said, in any order."""
    bodies = [letter["body"] for letter in world.stage.events()]
    world.dice.shuffle(bodies)
    return [_event(world, body, f"at last, {json.loads(body)['type']}") for body in bodies]


def approve(world: "World") -> Move:
    """A buyer who was sent to the bank's page comes back from it, content or not; or never goes there."""
    facts, yes = _any_checkout(world), world.dice.random() < 0.7
    decision = "approve" if yes else "refuse"
    return Move(f"{facts['tag']} would {decision}", buyer.at_the_bank, (facts["key"], decision), "", None)


def mood(world: "World") -> Move:
    """One request to the bank will go wrong, whatever the card."""
    path, mode = world.dice.choice(PATHS), world.dice.choice(MOODS)
    return Move(f"the next {path} will meet {mode}", buyer.spoil_next, (path, mode), "", None)


def relay(world: "World") -> Move:
    return Move("a relay's round", pipeline.relay_round, (world.stage.moved,), "relay", points.delivery)


MOVES: list[tuple[Callable[["World"], Move], int]] = [
    (checkout, 46),
    (again, 14),
    (something_else, 2),
    (approve, 5),
    (mood, 8),
    (relay, 18),
    (event, 9),
    (cancel, 5),
    (refund, 6),
    (ship, 4),
]
