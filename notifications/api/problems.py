"""Errors as RFC 9457 `application/problem+json`, the same shape for every refusal."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiResponse
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler

from notifications import correlation

MEDIA_TYPE: Final = "application/problem+json"
# code, title, and when. Written out: Python's own words for them change from release to release.
KINDS: Final = {
    400: ("bad_request", "Bad Request", "A field, a header or the JSON itself is not right; `errors` says which."),
    401: ("unauthorized", "Unauthorized", "There is no API key, or it is unknown or revoked."),
    402: ("payment_required", "Payment Required", "The payment was declined."),
    403: ("forbidden", "Forbidden", "The key may not do this; `detail` names the scope it lacks."),
    404: ("not_found", "Not Found", "There is nothing here, or it is not for this key to see."),
    405: ("method_not_allowed", "Method Not Allowed", "The address does not know this method."),
    406: ("not_acceptable", "Not Acceptable", "Answers are JSON, which `Accept` rules out."),
    409: ("conflict", "Conflict", "The state of things does not allow it now."),
    413: ("too_large", "Content Too Large", "The body is larger than we read."),
    415: ("unsupported_media_type", "Unsupported Media Type", "The body is not `application/json`."),
    422: ("unprocessable", "Unprocessable Content", "It contradicts an earlier request."),
    429: ("too_many_requests", "Too Many Requests", "Too often; `Retry-After` says when to try again."),
    500: ("internal_error", "Internal Server Error", "Our fault; it is in our log under `request_id`."),
    503: ("unavailable", "Service Unavailable", "The database is busy or away; try again with the same key."),
}
_KEPT_HEADERS: Final = ("WWW-Authenticate", "Retry-After", "Allow")


def problem(
    status: int,
    detail: str,
    *,
    code: str = "",
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """A refusal. code: a word programs can branch on; errors: `{"field", "detail"}` each; members: extra facts."""
    body = problem_body(status, detail, code=code, errors=errors, **members)
    return Response(body, status=status, headers=dict(headers or {}), content_type=MEDIA_TYPE)


def problem_body(
    status: int, detail: str, *, code: str = "", errors: list[dict[str, Any]] | None = None, **members: Any
) -> dict[str, Any]:
    """The same as plain JSON values, fit to be stored and given again."""
    usual_code, title, _ = KINDS[status]
    code = code or usual_code
    request_id = correlation.correlation_id()
    return {
        "type": f"/api/docs/#problem-{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:uuid:{request_id}",
        "request_id": request_id,
        "code": code,
        "errors": errors or [],
        **members,
    }


def plain_problem(status: int, detail: str) -> JsonResponse:
    """A refusal where no API view is at work: Django's own errors under /api/."""
    return JsonResponse(problem_body(status, detail), status=status, content_type=MEDIA_TYPE)


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: whatever a view raises on purpose becomes a problem document."""
    plain = exception_handler(error, context)
    if plain is None:
        return None
    kept = {name: plain[name] for name in _KEPT_HEADERS if name in plain}
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flatten(error.detail))
        return problem(400, "Some fields are not right.", code="invalid", errors=errors, headers=kept)
    return problem(plain.status_code, _sentence(error), headers=kept)


def _sentence(error: Exception) -> str:
    if isinstance(error, Http404):
        return "There is nothing here."
    if isinstance(error, PermissionDenied):
        return "You may not do this."
    return str(getattr(error, "detail", error))


def _flatten(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested errors as a flat list, each with a path as "items[0].sku"."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _flatten(value, _join(path, key))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            yield from _flatten(value, f"{path}[{index}]" if isinstance(value, Mapping | list) else path)
    else:
        yield {"field": path, "detail": str(detail)}


def _join(path: str, key: Any) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key == "non_field_errors":
        return path
    return f"{path}.{key}" if path else str(key)


class FieldProblemSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="A path into the request, as `items[0].sku`; empty: the whole of it.")
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """An RFC 9457 problem document. Some problems carry further members."""

    type = serializers.CharField(help_text="Where this kind of problem is described.")
    title = serializers.CharField()
    status = serializers.IntegerField(min_value=400, max_value=599)
    detail = serializers.CharField(help_text="What is wrong here, for a person.")
    instance = serializers.CharField()
    request_id = serializers.CharField(help_text="The correlation id, also in `X-Request-ID`.")
    code = serializers.CharField(help_text="What is wrong, for a program.")
    errors = FieldProblemSerializer(many=True)  # type: ignore[assignment]


def refusals(*statuses: int, **described: str) -> dict[tuple[int, str] | int, Any]:
    """The problem documents of an operation, for `extend_schema`: `_409="why"` adds words of its own."""
    words = {status: KINDS[status][2] for status in statuses}
    words |= {int(name.removeprefix("_")): text for name, text in described.items()}
    return {
        (status, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, description=text)
        for status, text in sorted(words.items())
    }


@csrf_exempt
def nothing_here(request: HttpRequest, **_: str) -> JsonResponse:
    """Any address under /api/ that is not one of ours."""
    hint = "" if request.path.endswith("/") else " Addresses of this API end with a slash."
    return plain_problem(404, f"There is nothing here.{hint}")
