"""What is said when no view answers: a page to people, a problem document to programs."""

import sys
from collections.abc import Callable, Iterator

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from notifications.api.problems import plain_problem


class RefuseNul:
    """Nothing of ours holds a NUL, and PostgreSQL stores none: in an address, cookie, query or form it is a 400."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if any("\0" in text for text in _sent(request)):
            return bad_request(request, SuspiciousOperation("a NUL character"))
        return self.get_response(request)


def _sent(request: HttpRequest) -> Iterator[str]:
    yield request.path_info
    yield from request.COOKIES.values()
    if _from_a_program(request):
        return  # the API names the field itself
    yield from (text for values in request.GET.lists() for text in (values[0], *values[1]))
    if request.content_type == "application/x-www-form-urlencoded":
        yield from (text for values in request.POST.lists() for text in (values[0], *values[1]))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _from_a_program(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return plain_problem(413, "The request is too large.")
    return plain_problem(400, "This request cannot be read.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _from_a_program(request):
        return plain_problem(403, "You may not do this.")
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _from_a_program(request):
        return plain_problem(404, "There is nothing here.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Says the request's id and nothing else: what went wrong is in the log under that id."""
    if isinstance(sys.exception(), OperationalError):
        return _database_away(request)
    if _from_a_program(request):
        return plain_problem(500, "Something went wrong on our side. It is in our log under this id.")
    return defaults.server_error(request)


def _database_away(request: HttpRequest) -> HttpResponse:
    """The database is gone, or too busy to give us a lock in time. Asking again, under the same key, is right."""
    if _from_a_program(request):
        answer: HttpResponse = plain_problem(503, "The database is busy or away. Try again with the same key.")
    else:
        answer = HttpResponse(render_to_string("503.html"), status=503)
    answer["Retry-After"] = "2"
    return answer


def _from_a_program(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")
