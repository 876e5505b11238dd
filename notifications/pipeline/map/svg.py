"""The map of the pipeline as a drawing: events on the left, who listens to them, and on the right what those publish.

Laid out by hand in rows, so that it can be read from top to bottom and names never meet. Colours come from the style
sheet beside it, by class; no script, and no style inside an element.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.contrib.staticfiles import finders
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from notifications.pipeline.map import Map, MappedEvent, MappedHandler, Publication
from notifications.pipeline.map.words import evidence, manner

WIDTH: Final = 1000
EVENT_X, EVENT_WIDTH = 1, 222
HANDLER_X, HANDLER_WIDTH = 268, 292
MADE_X, QUIET_X = 600, 150
BOX, PILL, GAP, ROOM = 46, 24, 8, 16  # heights of a box and of a pill; between pills, between blocks
STATE: Final = 17  # what a box grows by for the line that says how its handler does
PILL_LETTER: Final = 6.75  # the width of a letter of a pill

# What the pages' own sheet says of these names, for a drawing that stands alone.
LIGHT: Final = {
    "paper": "#fff", "ink": "#171b26", "soft": "#4d5566", "line": "#d5d9e2", "busy": "#1f3aa8",
    "busy-wash": "#e6eafa", "calm-wash": "#e9ebef", "bad": "#a01c1c", "bad-wash": "#fbe4de", "warn": "#7a4b00",
    "warn-wash": "#fbeccb",
}  # fmt: skip
DARK: Final = {
    "paper": "#161b26", "ink": "#eef0f5", "soft": "#b9c0ce", "line": "#3a4252", "busy": "#b4c2ff",
    "busy-wash": "#262f5c", "calm-wash": "#343b47", "bad": "#ffaca3", "bad-wash": "#4a1d1a", "warn": "#f3c976",
    "warn-wash": "#40310f",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What is to be said of a handler in the drawing. tone: "", warn or bad. url: where its box leads to."""

    words: str = ""
    tone: str = ""
    url: str = ""


@dataclass
class _Sheet:
    """What has been drawn so far, and where the next row begins."""

    marks: Mapping[str, Mark]
    y: int = 8
    parts: list[SafeString] = field(default_factory=list)

    def draw(self, form: str, *values: object) -> None:
        self.parts.append(format_html(form, *values))


def draw(shown: Map, *, marks: Mapping[str, Mark] | None = None) -> SafeString:
    """For a page: hidden from screen readers and the keyboard, for beside it stands the same as a list."""
    sheet = _drawn(shown, marks or {})
    return format_html(
        '<svg class="wbm" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}</svg>',
        WIDTH, sheet.y, _joined(sheet.parts),
    )  # fmt: skip


def alone(shown: Map) -> str:
    """A file of its own, with its colours for light and dark."""
    sheet = _drawn(shown, {})
    rules = Path(str(finders.find("notifications/map.css"))).read_text()
    style = f"{_colours(LIGHT)}@media (prefers-color-scheme: dark) {{ {_colours(DARK)} }}\n{rules}"
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" class="wbm" viewBox="0 0 {} {}" role="img" aria-labelledby="map">'
        '<title id="map">Events, who listens to them, and what those publish</title>'
        '<style>{}</style><rect class="wbm-ground" width="100%" height="100%"/>{}</svg>\n',
        WIDTH, sheet.y, mark_safe(style), _joined(sheet.parts),  # noqa: S308  our own file
    )  # fmt: skip


def _colours(colours: Mapping[str, str]) -> str:
    names = "; ".join(f"--wb-{name}: {value}" for name, value in colours.items())
    return f".wbm {{ {names} }} .wbm-ground {{ fill: {colours['paper']} }} "


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("\n", "{}", ((part,) for part in parts))


def _drawn(shown: Map, marks: Mapping[str, Mark]) -> _Sheet:
    sheet = _Sheet(marks)
    for app, events in shown.apps().items():
        _heading(sheet, app)
        for event in events:
            if shown.narrow(event):
                _block(sheet, event, shown.narrow(event))
        _quiet(sheet, [event for event in events if not shown.narrow(event)], shown.broad())
    for handler in shown.broad():
        _heading(sheet, f"{len(handler.events)} kinds of event at once")
        sheet.y = max(_handler_box(sheet, handler, beside=""), _pills(sheet, handler.publishes)) + ROOM
    return sheet


def _heading(sheet: _Sheet, app: str) -> None:
    sheet.draw('<text class="wbm-head" x="1" y="{}">{}</text>', sheet.y + 16, app)
    sheet.draw('<path class="wbm-rule" d="M0 {0}H{1}"/>', sheet.y + 28, WIDTH)
    sheet.y += 44


def _block(sheet: _Sheet, event: MappedEvent, handlers: list[MappedHandler]) -> None:
    """An event, and beside it one under the other who listens to it."""
    top = sheet.y
    _event_box(sheet, event)
    for handler in handlers:
        _line_to_handler(sheet, top)
        below = max(_handler_box(sheet, handler, beside=event.app), _pills(sheet, handler.publishes))
        sheet.y = below + GAP + 2
    sheet.y += ROOM - GAP


def _event_box(sheet: _Sheet, event: MappedEvent) -> None:
    words = f"version {event.version}" + (", also to webhooks" if event.public else "")
    sheet.draw(
        '<g class="wbm-event" id="map-{0}"><title>{0}: {1}</title>'
        '<rect class="wbm-box" x="{2}" y="{3}" width="{4}" height="{5}" rx="5"/>'
        '<text class="wbm-name" x="{6}" y="{7}">{0}</text>'
        '<text class="wbm-soft" x="{6}" y="{8}">{9}</text></g>',
        event.name, event.meaning, EVENT_X, sheet.y, EVENT_WIDTH, BOX,
        EVENT_X + 11, sheet.y + 19, sheet.y + 36, words,
    )  # fmt: skip


def _line_to_handler(sheet: _Sheet, top: float) -> None:
    start, end, y, middle = EVENT_X + EVENT_WIDTH, HANDLER_X, sheet.y + BOX // 2, HANDLER_X - 22
    if sheet.y == top:
        sheet.draw('<path class="wbm-line" d="M{} {}H{}"/>', start, y, end)
    else:  # down from the line of the first
        sheet.draw('<path class="wbm-line" d="M{0} {1}V{2}q0 8 8 8H{3}"/>', middle, top + BOX // 2, y - 8, end)


def _handler_box(sheet: _Sheet, handler: MappedHandler, *, beside: str) -> int:
    """beside: the app under whose heading it stands. Returns where it ends."""
    mark = sheet.marks.get(handler.handler, Mark())
    height = BOX + (STATE if mark.words else 0)
    app, _, name = handler.handler.partition(".")
    how = ", ".join([*([] if app == beside else [f"in {app}"]), f"queue {handler.queue}", *manner(handler)])
    box = format_html(
        '<g class="{}"><title>{}: {}</title><rect class="wbm-box" x="{}" y="{}" width="{}" height="{}" rx="5"/>'
        '<text class="wbm-name" x="{}" y="{}">{}</text><text class="wbm-soft" x="{}" y="{}">{}</text>{}</g>',
        f"wbm-{mark.tone or 'calm'}", handler.handler, mark.words or how,
        HANDLER_X, sheet.y, HANDLER_WIDTH, height,
        HANDLER_X + 11, sheet.y + 19, name, HANDLER_X + 11, sheet.y + 36, how, _state(sheet, mark),
    )  # fmt: skip
    sheet.parts.append(_leading(mark.url, box))
    return sheet.y + height


def _state(sheet: _Sheet, mark: Mark) -> SafeString:
    if not mark.words:
        return SafeString()
    at = HANDLER_X + 11, sheet.y + BOX + 7
    return format_html('<text class="wbm-state" x="{}" y="{}">{}</text>', *at, mark.words)


def _leading(url: str, part: SafeString) -> SafeString:
    return format_html('<a href="{}" tabindex="-1">{}</a>', url, part) if url else part


def _pills(sheet: _Sheet, made: Iterable[Publication]) -> int:
    """What it publishes, in as many rows as that takes; dashed what was not recorded lately. Returns where it ends."""
    found, top = list(made), sheet.y + (BOX - PILL) // 2
    if not found:
        return top
    start = HANDLER_X + HANDLER_WIDTH
    sheet.draw('<path class="wbm-line" d="M{} {}H{}"/>', start, top + PILL // 2, MADE_X)
    places = list(_places([one.event for one in found], left=MADE_X))
    for one, (x, row) in zip(found, places, strict=True):
        tone = "" if one.recorded else " wbm-unseen"
        pill = _pill(one.event, f"{one.event}: {evidence(one)}", at=(x, top + row * (PILL + GAP)), tone=tone)
        sheet.parts.append(_leading(f"#map-{one.event}", pill))
    return top + (places[-1][1] + 1) * (PILL + GAP) - GAP


def _places(words: Iterable[str], *, left: int) -> Iterator[tuple[int, int]]:
    """For each: where it begins, and in which row."""
    x, row = left, 0
    for word in words:
        if x > left and x + _width(word) > WIDTH:
            x, row = left, row + 1
        yield x, row
        x += _width(word) + GAP


def _width(word: str) -> int:
    return round(len(word) * PILL_LETTER) + 16


def _pill(name: str, title: str, *, at: tuple[int, int], tone: str = "") -> SafeString:
    x, y = at
    return format_html(
        '<g class="wbm-pill{}"><title>{}</title><rect class="wbm-box" x="{}" y="{}" width="{}" height="{}"'
        ' rx="12"/><text x="{}" y="{}">{}</text></g>',
        tone, title, x, y, _width(name) - 1, PILL, x + 8, y + 16, name,
    )  # fmt: skip


def _quiet(sheet: _Sheet, events: list[MappedEvent], broad: list[MappedHandler]) -> None:
    """Events that nobody in particular listens to, in one row or a few."""
    names = ", ".join(handler.handler.partition(".")[2] for handler in broad)
    for heard, words in ((True, f"Only {names}"), (False, "Nobody listens")):
        found = [event for event in events if bool(event.handlers) is heard]
        if not found:
            continue
        sheet.draw('<text class="wbm-soft" x="1" y="{}">{}</text>', sheet.y + 16, words)
        places = list(_places([event.name for event in found], left=QUIET_X))
        for event, (x, row) in zip(found, places, strict=True):
            pill = _pill(event.name, f"{event.name}: {event.meaning}", at=(x, sheet.y + row * (PILL + GAP)))
            sheet.draw('<g id="map-{}">{}</g>', event.name, pill)
        sheet.y += (places[-1][1] + 1) * (PILL + GAP) + GAP
    sheet.y += 12
