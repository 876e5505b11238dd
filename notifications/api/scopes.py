"""What a key may do."""

from typing import Any, Final

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

SCOPES: Final = {
    "orders:read": "See orders and their timelines",
    "orders:write": "Place and cancel orders; staff also ship and take back",
    "refunds:write": "Give money back",
    "uploads:write": "Upload pictures and video",
    "events:read": "See every event and delivery",
    "deliveries:write": "Retry and discard deliveries",
    "webhooks:write": "Manage webhook endpoints",
    "customers:write": "Register customers",
}


class HasScope(BasePermission):
    """The key must carry the scope the view names for this method, as `scopes = {"GET": "orders:read"}`.

    A method without a scope is answered 405, so that forgetting one opens nothing.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = _needed(request, view)
        key: Any = request.auth
        if key is None:
            return False
        self.message = f"This key lacks the scope {needed}."
        return needed in key.scopes


class IsStaffWithScope(HasScope):
    """As HasScope, and the key's owner must be staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        self.message = "This is for keys of staff."
        return request.user.is_staff


def _needed(request: Request, view: Any) -> str:
    method = "GET" if request.method == "HEAD" else str(request.method)
    needed: str | None = view.scopes.get(method)
    if needed is None:
        raise MethodNotAllowed(method)
    return needed
