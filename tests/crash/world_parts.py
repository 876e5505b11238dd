"""What may happen in a random world: who does what, to whom, with which luck."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.crash import flows, points
from tests.crash.actors import Part
from tests.crash.recovery import Story
from tests.crash.stage import Stage

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
}


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
        flows.product(f"THING-{i}", units=units, price=990 + 500 * i)
    return [f"THING-{i}" for i in range(len(counts))]


def counted(stage: Stage) -> dict[str, dict[str, int]]:
    """How many boundaries of each kind the flows have that a world kills."""
    counts = {}
    for name in ("checkout",):
        stage.clear()
        facts, flow = stage.ask(flows.prepare, name, "count"), flows.FLOWS[name]
        ending = stage.player(0).start(Part(flow.act, (facts,), name, flow.point, count=True)).ending()
        counts[name] = dict(Counter(kind for _, kind, _ in ending.seen))
    return counts


def is_content(story: Story) -> bool:
    return bool(story.answers) and story.answers[-1] is not None and flows.is_final(story.answers[-1])


# -- moves -------------------------------------------------------------------------------------


def any_move(world: "World") -> Move:
    makers = [maker for maker, _ in MOVES]
    [maker] = world.dice.choices(makers, [weight for _, weight in MOVES])
    return maker(world) if world.stories else checkout(world)


def checkout(world: "World") -> Move:
    [card] = world.dice.choices(list(CARDS), list(CARDS.values()))
    wanted = world.dice.sample(world.skus, world.dice.randint(1, min(2, len(world.skus))))
    items = [(sku, world.dice.choice((1, 1, 1, 2))) for sku in wanted]
    i = len(world.stories)
    facts = {"tag": f"buyer-{i}", "key": f"{world.seed}-{i}", "card": card}
    facts["order"] = flows.order_body(f"buyer-{i}@example.com", items, card)
    world.stories.append(Story(facts))
    return _checkout(world, i, f"buyer-{i} orders {items} with {card}")


def again(world: "World", i: int | None = None) -> Move:
    """A client repeats its request, with the same key; it may still be at work."""
    chosen = world.dice.randrange(len(world.stories)) if i is None else i
    return _checkout(world, chosen, f"buyer-{chosen} asks again")


def _checkout(world: "World", i: int, text: str) -> Move:
    return Move(text, flows.check_out, (world.stories[i].facts,), "checkout", points.checkout, i)


def something_else(world: "World") -> Move:
    """The same key with another request: 422 when the first has come through, and a sale when it has not."""
    i = world.dice.randrange(len(world.stories))
    other = {**world.stories[i].facts, "order": {**world.stories[i].facts["order"], "email": "other@example.com"}}
    return Move(f"buyer-{i} asks for something else", flows.check_out, (other,), "checkout", points.checkout)


def approve(world: "World") -> Move:
    """A buyer who was sent to the bank's page comes back from it, content or not; or never goes there."""
    i, yes = world.dice.randrange(len(world.stories)), world.dice.random() < 0.7
    decision = "approve" if yes else "refuse"
    return Move(f"buyer-{i} would {decision}", flows.at_the_bank, (world.stories[i].facts["key"], decision), "", None)


def relay(world: "World") -> Move:
    return Move("a relay's round", flows.relay_round, (world.stage.moved,), "relay", points.delivery)


MOVES: list[tuple[Callable[["World"], Move], int]] = [
    (checkout, 50),
    (again, 18),
    (something_else, 3),
    (approve, 5),
    (relay, 18),
]
