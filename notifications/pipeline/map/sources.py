"""Which events a handler may publish, read from its source: those it makes, those that what it calls makes, and so on.

Only plain functions of the shop's own packages are followed, by their name or their module's. What is reached through
an object or a table is not seen; what stands behind an `if` is, whether that ever holds or not.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from notifications.pipeline.events import DomainEvent, subscriptions


@cache
def made_in(function: Callable[..., Any]) -> frozenset[str]:
    """The names of the events that are made on any way through this function."""
    found, seen, ahead = set(), set(), [inspect.unwrap(function)]
    while ahead:
        here = ahead.pop()
        seen.add(here)
        events, functions = _mentioned(here)
        found |= events
        ahead += functions - seen
    return frozenset(found)


@cache
def _mentioned(function: Callable[..., Any]) -> tuple[set[str], set[Callable[..., Any]]]:
    """The events that it makes itself, and the functions of ours that it names."""
    known = {**vars(inspect.getmodule(function)), **inspect.getclosurevars(function).nonlocals}
    nodes = list(_inside(function))
    asked = {id(part) for node in nodes for part in _asked(node)}
    things = [_meant(node, known) for node in nodes if id(node) not in asked]
    events = {thing.name for thing in things if inspect.isclass(thing) and issubclass(thing, DomainEvent)}
    return events, {inspect.unwrap(thing) for thing in things if _is_ours(thing)}


def _asked(node: ast.AST) -> list[ast.expr]:
    """What is only asked about: the class in `isinstance(event, OrderPlaced)` and `OrderPlaced.name`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        return [part for argument in node.args for part in ast.walk(argument) if isinstance(part, ast.expr)]
    return [node.value] if isinstance(node, ast.Attribute) else []


def _inside(function: Callable[..., Any]) -> Iterator[ast.AST]:
    """Its body; not its decorators and parameters, which name events that it hears of."""
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    for statement in getattr(tree, "body", []):
        yield from ast.walk(statement)


def _meant(node: ast.AST, known: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(module := _meant(node.value, known), ModuleType):
        return getattr(module, node.attr, None)
    return None


def _is_ours(thing: Any) -> bool:
    packages = {one.function.__module__.partition(".")[0] for one in subscriptions.values()}
    return inspect.isfunction(thing) and thing.__module__.partition(".")[0] in packages
