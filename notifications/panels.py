"""What other apps show on top of the page Failures: each registers who may see its rows, and how to read them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that is wrong. `url` is its page; `button`, when there is one, posts to `action`."""

    sentence: str
    detail: str
    url: str
    button: str = ""
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`rows` is called for each request of somebody who has `permission`; nothing is shown when it returns none."""

    title: str
    permission: str
    rows: Callable[[HttpRequest], Iterable[Row]]


_panels: Final[list[Panel]] = []


def show_on_failures(panel: Panel) -> None:
    """Called once, when the upper app's staff pages are loaded."""
    _panels.append(panel)


def panels_for(request: HttpRequest) -> list[tuple[str, list[Row]]]:
    """The titles and rows of all panels that have something to show to this person."""
    seen = [panel for panel in _panels if request.user.has_perm(panel.permission)]
    shown = [(panel.title, list(panel.rows(request))) for panel in seen]
    return [(title, rows) for title, rows in shown if rows]
