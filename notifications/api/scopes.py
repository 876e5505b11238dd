"""What a key may do."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

SCOPES = {
    "orders:read": "See orders and their timelines",
    "orders:write": "Place orders",
    "refunds:write": "Give money back",
    "uploads:write": "Upload pictures and video",
    "events:read": "See every event and delivery",
    "deliveries:write": "Retry and discard deliveries",
    "webhooks:write": "Manage webhook endpoints",
    "customers:write": "Register customers",
}


class HasScope(BasePermission):
    """The key must carry one of the scopes the view names for this method, as `scopes = {"GET": "orders:read"}`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        needed: str = view.scopes[request.method]
        self.message = f"This key lacks the scope {needed}."
        return request.auth is not None and needed in request.auth.scopes
