"""The map of the pipeline in words: for a terminal, and as Markdown."""

from collections.abc import Iterator

from notifications.pipeline.map import Map, MappedEvent, MappedHandler, Publication


def manner(handler: MappedHandler) -> list[str]:
    """How it is run, where that is not how most are: `["after 15 s", "no transaction"]`."""
    said = [
        (handler.ordered, "ordered"),
        (handler.latest_only, "latest only"),
        (handler.after > 0, f"after {span(handler.after)}"),
        (not handler.atomic, "no transaction"),
    ]
    return [words for applies, words in said if applies]


def span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:g} s"


def evidence(made: Publication) -> str:
    """From where it is known that it publishes this."""
    recorded = f"recorded {made.recorded} times" if made.recorded else "not recorded lately"
    return f"in its code, {recorded}" if made.in_source else f"{recorded}, not found in its code"


def text(shown: Map) -> str:
    """Events, under each who listens to it, and what those publish."""
    return "\n".join([*_events(shown), "", *_rest(shown)])


def _events(shown: Map) -> Iterator[str]:
    for app, events in shown.apps().items():
        yield f"\n{app}"
        for event in events:
            yield f"  {event.name} v{event.version}{' public' if event.public else ''}"
            for handler in shown.narrow(event):
                yield f"    → {handler.handler}  ({', '.join([handler.queue, *manner(handler)])})"
                yield from _published(handler)


def _published(handler: MappedHandler) -> Iterator[str]:
    seen = [f"{made.event} ×{made.recorded}" for made in handler.publishes if made.recorded]
    unseen = [made.event for made in handler.publishes if not made.recorded]
    if seen:
        yield f"        publishes {', '.join(seen)}"
    if unseen:
        yield f"        may publish {', '.join(unseen)}"


def _rest(shown: Map) -> Iterator[str]:
    for broad in shown.broad():
        yield f"{broad.handler} ({broad.queue}) listens to {len(broad.events)} kinds of event."
        yield from _published(broad)
    yield f"Nobody listens to: {', '.join(shown.unhandled) or 'there is none such'}."
    for one in shown.stranded:
        yield f"{one.count} × {one.event} wait for {one.handler}: {one.reason}."
    if not shown.stranded:
        yield "No delivery waits for a handler or an event that this release does not know."
    yield f"“publishes” was counted in the latest {shown.read} events, “may publish” stands in the code alone."


def markdown(shown: Map) -> str:
    """One table for each app, for a document. A `?` follows what is in the code and was not recorded lately."""
    return "\n".join(["# The pipeline", "", *_tables(shown), *(f"- {line.strip()}" for line in _rest(shown))])


def _tables(shown: Map) -> Iterator[str]:
    for app, events in shown.apps().items():
        yield f"## {app}\n"
        yield "| event | listens | runs | publishes |"
        yield "|---|---|---|---|"
        for event in events:
            yield from _rows(shown, event)
        yield ""


def _rows(shown: Map, event: MappedEvent) -> Iterator[str]:
    name = f"`{event.name}` v{event.version}{', public' if event.public else ''}"
    for handler in shown.narrow(event):
        made = ", ".join(f"`{one.event}`{'' if one.recorded else '?'}" for one in handler.publishes)
        yield f"| {name} | `{handler.handler}` | {', '.join([handler.queue, *manner(handler)])} | {made} |"
        name = ""
    if not event.handlers:
        yield f"| {name} | nobody | | |"
    elif not shown.narrow(event):
        yield f"| {name} | {', '.join(f'`{one}`' for one in event.handlers)} | | |"
