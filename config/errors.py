"""What is said when no view answers: a page to people, a problem document to programs."""

import sys

from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from notifications.api.problems import plain_problem


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
