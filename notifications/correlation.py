"""One id from the click to the letter: who caused this, and in answer to what.

The id is born with the request (or a relay's tick), travels in each Event, and is bound again
when a delivery runs, so log lines, events, mail headers and answers all carry the same one.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from notifications import tracing
from notifications.hiding import without_keys

_correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
_actor: ContextVar[str | Callable[[], str]] = ContextVar("actor", default="system")
_cause: ContextVar[int | None] = ContextVar("cause", default=None)
_address: ContextVar[str] = ContextVar("address", default="")


def correlation_id() -> str:
    """The id of what is going on now; a new one when nothing has been bound."""
    return _correlation_id.get() or str(uuid.uuid4())


def actor() -> str:
    """Who is acting: `user:5`, `key:2`, `visitor`, `system`, or a handler's name."""
    who = _actor.get()
    return who if isinstance(who, str) else who()


def cause() -> int | None:
    """The id of the Event being handled now, if any."""
    return _cause.get()


def address() -> str:
    """The network address that the request came from; empty where there is none."""
    return _address.get()


def act_as(who: str) -> None:
    """From here on in this context, `who` is acting (an API key was recognised, say)."""
    _actor.set(who)


@contextmanager
def bound(
    *, correlation_id: str, actor: str | Callable[[], str], cause: int | None = None, address: str = ""
) -> Iterator[None]:
    """Everything inside belongs to this id, this actor and this causing event, and came from this address."""
    tokens = (_correlation_id.set(correlation_id), _actor.set(actor), _cause.set(cause), _address.set(address))
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        try:
            yield
        finally:
            _correlation_id.reset(tokens[0])
            _actor.reset(tokens[1])
            _cause.reset(tokens[2])
            _address.reset(tokens[3])


class RequestLog(RequestMiddleware):
    """One line when a request comes and one when it is answered, without what opens something.

    That is the query, which may hold a guest's key, and in the path the keys of letters' links and of media.
    """

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {without_keys(request.path)}"


def _person_behind(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    return f"user:{user.pk}" if user is not None and user.is_authenticated else "visitor"


def _came_from(request: HttpRequest) -> str:
    """What the farthest proxy that we trust was asked from, as the limits on tries read it; without one, our peer."""
    trusted = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    said = request.headers.get("X-Forwarded-For", "").split(",")
    believed = said[-trusted].strip() if 0 < trusted <= len(said) else ""
    return str(believed or request.META.get("REMOTE_ADDR", ""))[:45]


class CorrelationMiddleware:
    """Binds the request's id and actor, and answers with `X-Request-ID`.

    An id sent by the client is not believed: it could splice a stranger's order into a timeline.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = structlog.contextvars.get_contextvars().get("request_id") or str(uuid.uuid4())
        with (
            bound(
                correlation_id=request_id,
                actor=lambda: _person_behind(request),
                address=_came_from(request),
            ),
            tracing.span(str(request.method), kind="SERVER", waybill__request_id=request_id) as span,
        ):
            response = self.get_response(request)
            if span is not None:
                _describe(span, request, response)
        response["X-Request-ID"] = request_id
        return response


def _describe(span: Any, request: HttpRequest, response: HttpResponse) -> None:
    """By its route, not its path: that may hold a guest's key or an address."""
    route = f"/{request.resolver_match.route}" if request.resolver_match else "(no such page)"
    span.update_name(f"{request.method} {route}")
    span.set_attributes(
        {
            "http.request.method": str(request.method),
            "http.route": route,
            "http.response.status_code": response.status_code,
        }
    )
