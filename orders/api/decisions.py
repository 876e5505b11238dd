"""The endpoints that cancel, refund, ship and take back: parse, one call, translate."""

from typing import Any, cast

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from notifications.api.scopes import HasScope
from orders.api import deciding, describe_decisions
from orders.api.asked import (
    CancelAskedSerializer,
    ReturnAskedSerializer,
    ShipmentAskedSerializer,
    decision_asked,
    refund_asked,
)
from orders.api.parts import RefundSerializer, ShipmentSerializer, refunds_of, shipments_of
from orders.api.reach import NOT_ALLOWED, StaffDecide, may_cancel, orders_of
from orders.models import Order


class Cancel(GenericAPIView[Any]):
    """Open to customers too: whoever sees an order may call it off while nothing of it has left."""

    permission_classes = [HasScope]
    scopes = {"POST": "orders:write"}

    @extend_schema(**describe_decisions.CANCEL_ORDER)
    def post(self, request: Request, number: str) -> Response:
        order = _order(request, number)
        if not may_cancel(cast(User, request.user), order):
            raise PermissionDenied(NOT_ALLOWED)
        asked, key = decision_asked(request, CancelAskedSerializer)
        return deciding.cancel(order, asked, key=key)


class Refunds(GenericAPIView[Any]):
    permission_classes = [StaffDecide]
    scopes = {"GET": "orders:read", "POST": "refunds:write"}
    right = "orders.refund_order"

    @extend_schema(**describe_decisions.LIST_REFUNDS)
    def get(self, request: Request, number: str) -> Response:
        order = _order(request, number)
        return Response({"results": RefundSerializer(refunds_of([order]).get(order.pk, []), many=True).data})

    @extend_schema(**describe_decisions.REFUND_ORDER)
    def post(self, request: Request, number: str) -> Response:
        order = _order(request, number)
        asked, key = refund_asked(request)
        return deciding.refund(order, asked, key=key)


class Shipments(GenericAPIView[Any]):
    permission_classes = [StaffDecide]
    scopes = {"GET": "orders:read", "POST": "orders:write"}
    right = "orders.ship_order"

    @extend_schema(**describe_decisions.LIST_SHIPMENTS)
    def get(self, request: Request, number: str) -> Response:
        order = _order(request, number)
        return Response({"results": ShipmentSerializer(shipments_of([order]).get(order.pk, []), many=True).data})

    @extend_schema(**describe_decisions.SHIP_ORDER)
    def post(self, request: Request, number: str) -> Response:
        order = _order(request, number)
        asked, key = decision_asked(request, ShipmentAskedSerializer)
        return deciding.ship(order, asked, key=key)


class Returns(GenericAPIView[Any]):
    permission_classes = [StaffDecide]
    scopes = {"POST": "orders:write"}
    right = "orders.return_order"

    @extend_schema(**describe_decisions.TAKE_BACK)
    def post(self, request: Request, number: str) -> Response:
        order = _order(request, number)
        asked, key = decision_asked(request, ReturnAskedSerializer)
        return deciding.take_back(order, asked, key=key)


def _order(request: Request, number: str) -> Order:
    return get_object_or_404(orders_of(cast(User, request.user)), number=number)
