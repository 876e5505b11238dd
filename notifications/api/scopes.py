"""What a key may do: its scopes, each as far as its owner may do that themselves."""

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

# What staff must be allowed themselves. A scope that is not here opens a person's own things only.
PERMISSIONS: Final = {
    "refunds:write": "orders.refund_order",
    "events:read": "notifications.view_event",
    "deliveries:write": "notifications.decide_failure",
    "customers:write": "accounts.add_user",
}


def may_give(user: Any) -> list[str]:
    """The scopes that a key of this person can have: as far as they themselves may go, and not after they may not."""
    return [scope for scope in SCOPES if _may_use(user, scope)]


def _may_use(user: Any, scope: str) -> bool:
    if scope not in PERMISSIONS:
        return True
    return bool(user.is_staff and user.has_perm(PERMISSIONS[scope]))


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
        if needed not in key.scopes:
            return False
        self.message = f"The owner of this key may not do what {needed} opens."
        return _may_use(request.user, needed)


class IsStaffWithScope(HasScope):
    """As HasScope, and the key's owner must be staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        allowed = super().has_permission(request, view)
        key: Any = request.auth
        if key is not None and _needed(request, view) in key.scopes and not request.user.is_staff:
            self.message = "This is for keys of staff."
            return False
        return allowed


def _needed(request: Request, view: Any) -> str:
    method = "GET" if request.method == "HEAD" else str(request.method)
    needed: str | None = view.scopes.get(method)
    if needed is None:
        raise MethodNotAllowed(method)
    return needed
