"""Which letters hold a key, and how they are shown to those who must not have it."""

from typing import Any, Final

from notifications.hiding import without_keys
from notifications.mail.models import Letter

_sealed: Final[set[str]] = set()
NOT_SHOWN: Final = "This letter holds a code or a link that logs somebody in. Only its reader sees it."


def seal(template: str) -> None:
    """Letters of this template log somebody in: no staff page shows what they say.

    Called beside the template's name, in a module that every process loads: one that did not would show them.
    """
    _sealed.add(template)


def is_sealed(letter: Letter) -> bool:
    return letter.template in _sealed


def shown(letter: Letter, text: str, *, user: Any) -> str:
    """A part of a letter as this member of the staff may read it: with its keys who may send the letter again."""
    if is_sealed(letter):
        return NOT_SHOWN
    return text if user.has_perm("notifications.resend_letter") else without_keys(text)
