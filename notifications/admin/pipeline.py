"""The page Pipeline: its map, and how each handler is doing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from notifications.pipeline.map import MappedHandler, pipeline_map, svg
from notifications.pipeline.map.words import manner
from notifications.pipeline.pulse import Pulse, pulses


@dataclass(frozen=True, kw_only=True)
class Row:
    """One handler of the list: how it is run, how it does, and where its failures are."""

    handler: MappedHandler
    pulse: Pulse
    manner: str
    deliveries: str
    dead: str
    retrying: str

    @property
    def name(self) -> str:
        return self.handler.handler.partition(".")[2]

    @property
    def seen(self) -> list[str]:
        return [made.event for made in self.handler.publishes if made.recorded]

    @property
    def unseen(self) -> list[str]:
        return [made.event for made in self.handler.publishes if not made.recorded]

    @property
    def is_troubled(self) -> bool:
        return bool(self.pulse.dead or self.pulse.retrying or self.pulse.held)

    @property
    def is_quiet(self) -> bool:
        return not (self.pulse.waiting or self.pulse.running or self.pulse.retrying or self.pulse.dead)


@require_safe
def pipeline_page(request: HttpRequest) -> HttpResponse:
    """For whoever may see deliveries; its buttons are for whoever may decide about failures."""
    if not request.user.has_perm("notifications.view_delivery"):
        raise PermissionDenied
    shown, known = pipeline_map(), pulses(timezone.now())
    rows = [_row(handler, known[name]) for name, handler in shown.handlers.items()]
    context = {
        **admin.site.each_context(request),
        "title": "Pipeline",
        "map": shown,
        "drawing": svg.draw(shown, marks={row.handler.handler: _mark(row) for row in rows}),
        "groups": _by_app(rows),
        "tiles": list(_tiles(known)),
        "may_decide": request.user.has_perm("notifications.decide_failure"),
    }
    return TemplateResponse(request, "notifications/admin/pipeline.html", context)


def _row(handler: MappedHandler, pulse: Pulse) -> Row:
    deliveries, failures = (reverse(f"admin:notifications_{of}_changelist") for of in ("delivery", "failure"))
    of_it = {"handler": handler.handler}
    return Row(
        handler=handler,
        pulse=pulse,
        manner=", ".join(manner(handler)),
        deliveries=f"{deliveries}?{urlencode(of_it)}",
        dead=f"{failures}?{urlencode(of_it | {'show': 'dead'})}",
        retrying=f"{failures}?{urlencode(of_it | {'show': 'retrying'})}",
    )


def _mark(row: Row) -> svg.Mark:
    """What the drawing says of a handler: only what is out of the ordinary, the worst first."""
    pulse = row.pulse
    said = [
        (pulse.dead, f"{pulse.dead} dead"),
        (pulse.retrying, f"{pulse.retrying} retrying"),
        (pulse.held, pulse.held),
        (pulse.waiting, f"{pulse.waiting} waiting"),
    ]
    tone = "bad" if pulse.dead else "warn" if pulse.retrying or pulse.held else ""
    url = row.dead if pulse.dead else row.retrying if pulse.retrying else row.deliveries
    return svg.Mark(words=", ".join(words for applies, words in said if applies), tone=tone, url=url)


def _by_app(rows: list[Row]) -> dict[str, list[Row]]:
    """The shop's own first; in each app those that do not do well."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: not row.is_troubled):
        found.setdefault(row.handler.handler.partition(".")[0], []).append(row)
    return dict(sorted(found.items(), key=lambda group: (group[0] == "notifications", group[0] != "orders")))


def _tiles(known: dict[str, Pulse]) -> Iterator[dict[str, Any]]:
    """What all handlers together are at, each with the list behind it."""
    deliveries, failures = (reverse(f"admin:notifications_{of}_changelist") for of in ("delivery", "failure"))
    everyone = known.values()
    dead, retrying = sum(one.dead for one in everyone), sum(one.retrying for one in everyone)
    held = sum(bool(one.held) for one in everyone)
    yield {"title": "Done a minute", "value": f"{sum(one.per_minute for one in everyone):.1f}", "url": deliveries,
           "note": "over the last five minutes"}  # fmt: skip
    yield {"title": "Waiting", "value": sum(one.waiting for one in everyone), "url": f"{deliveries}?show=open"}
    yield {"title": "Retrying", "value": retrying, "url": f"{failures}?show=retrying", "tone": retrying and "warn"}
    yield {"title": "Dead", "value": dead, "url": f"{failures}?show=dead", "tone": "bad" if dead else "good"}
    yield {"title": "Held back", "value": held, "url": failures, "tone": held and "warn",
           "note": "handlers that are paused, or rest after failing"}  # fmt: skip
