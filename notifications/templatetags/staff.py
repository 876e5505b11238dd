"""The marks of the staff pages, for templates."""

import json
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from notifications import marks
from notifications.mail.sealing import shown
from notifications.models import Letter
from notifications.panels import Row, panels_for

register = template.Library()

register.filter("ago", marks.ago)
register.filter("exact", marks.exact)
register.filter("state_badge", marks.state_badge)
register.filter("tries", marks.tries)
register.filter("next_try", marks.next_try)
register.filter("spread", marks.spread)
register.filter("job_badge", marks.job_badge)
register.filter("letter_badge", marks.letter_badge)
register.filter("worker_badge", marks.worker_badge)
register.filter("note_in_words", marks.note_in_words)
register.simple_tag(marks.badge, name="badge")


@register.simple_tag(takes_context=True)
def letter_text(context: Any, letter: Letter) -> str:
    """What a letter says, as far as this member of the staff may read it."""
    return shown(letter, letter.text, user=context["request"].user)


_ENTRY_TONES = {
    "done": "good", "sent": "good", "succeeded": "good",
    "dead": "bad", "error": "bad", "crashed": "bad", "mismatch": "bad",
    "unknown": "warn", "fenced": "warn", "ready": "busy", "running": "busy", "queued": "busy", "in_flight": "busy",
}  # fmt: skip


@register.simple_tag
def entry_state(entry: Any) -> str:
    """A timeline entry's state, where it says more than that the thing happened."""
    if entry.kind not in ("delivery", "mail", "payment"):
        return ""
    return marks.badge(entry.state.replace("_", " "), _ENTRY_TONES.get(entry.state, "calm"))


@register.simple_tag(takes_context=True)
def failure_panels(context: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    """What other apps show on top of the page Failures."""
    return panels_for(context["request"])


@register.filter
def as_json(value: Any) -> str:
    """Indented JSON for reading; the template escapes it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def in_code(words: str) -> SafeString:
    """What stands between backticks as code."""
    parts = words.split("`")
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if n % 2 else part,) for n, part in enumerate(parts))
    )


@register.filter
def name_in(reference: str, names: dict[str, Any]) -> Any:
    """The name and page of a reference, from what `subjects.named` found."""
    return names.get(reference, reference)
