"""What several pages read and answer."""

from django.http import HttpResponseRedirect


class SeeOther(HttpResponseRedirect):
    """Whatever was sent, go and GET the answer over there."""

    status_code = 303


def whole_number(text: str | None, *, otherwise: int = 0) -> int:
    """The number a visitor sent, or another one if it is none."""
    try:
        return int(text or "")
    except ValueError:
        return otherwise
