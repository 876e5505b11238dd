"""Errors as RFC 9457 `application/problem+json`, the same shape for every refusal."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from notifications import correlation


class ProblemRenderer(JSONRenderer):
    media_type = "application/problem+json"
    format = "problem"


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
    response = Response(
        problem_body(status, detail, code=code, errors=errors, **members),
        status=status,
        headers=dict(headers or {}),
        content_type="application/problem+json",
    )
    return response


def problem_body(
    status: int, detail: str, *, code: str = "", errors: list[dict[str, Any]] | None = None, **members: Any
) -> dict[str, Any]:
    code = code or HTTPStatus(status).phrase.lower().replace(" ", "_")
    return {
        "type": f"/api/docs/#problem-{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{correlation.correlation_id()}",
        "request_id": correlation.correlation_id(),
        "code": code,
        "errors": errors or [],
        **members,
    }


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: whatever a view raises on purpose becomes a problem document."""
    plain = exception_handler(error, context)
    if plain is None:
        return None
    kept = {name: plain[name] for name in ("WWW-Authenticate", "Retry-After", "Allow") if name in plain}
    if isinstance(error, exceptions.ValidationError):
        return problem(
            400, "Some fields are not right.", code="invalid", errors=list(_flatten(error.detail)), headers=kept
        )
    return problem(plain.status_code, _sentence(error), headers=kept)


def _sentence(error: Exception) -> str:
    if isinstance(error, Http404):
        return "There is nothing here."
    if isinstance(error, PermissionDenied):
        return "You may not do this."
    return str(getattr(error, "detail", error))


def _flatten(detail: Any, path: str = "") -> Any:
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _flatten(value, f"{path}.{key}" if path else str(key))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            yield from _flatten(value, f"{path}[{index}]" if nested else path)
    else:
        yield {"field": path, "detail": str(detail)}
