"""The shop's endpoints: parse, one call, translate."""

import hashlib
import json
from dataclasses import asdict
from typing import Any, cast

from django.shortcuts import get_object_or_404
from django.utils.http import parse_etags
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from notifications.api.scopes import HasScope
from orders.api import describe
from orders.api.asked import OrderFilter, currency_asked, order_asked
from orders.api.placing import place
from orders.api.reach import orders_of, products
from orders.api.shapes import EntrySerializer, ProductSerializer, order_bodies
from orders.models import Order
from orders.timeline import timeline
from orders.why import why


class Products(GenericAPIView[Any]):
    permission_classes = [AllowAny]

    @extend_schema(**describe.LIST_PRODUCTS)
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(products(currency=currency_asked(request)))
        return self.get_paginated_response(ProductSerializer(page, many=True).data)


class OneProduct(GenericAPIView[Any]):
    permission_classes = [AllowAny]

    @extend_schema(**describe.GET_PRODUCT)
    def get(self, request: Request, sku: str) -> Response:
        found = get_object_or_404(products(currency=currency_asked(request)), sku=sku)
        return Response(ProductSerializer(found).data)


class Orders(GenericAPIView[Any]):
    permission_classes = [HasScope]
    scopes = {"GET": "orders:read", "POST": "orders:write"}

    @extend_schema(**describe.LIST_ORDERS)
    def get(self, request: Request) -> Response:
        asked = OrderFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        page = self.paginate_queryset(orders_of(cast(User, request.user)).filter(**asked.conditions()))
        return self.get_paginated_response(order_bodies(page or []))

    @extend_schema(**describe.PLACE_ORDER)
    def post(self, request: Request) -> Response:
        asked, key = order_asked(request)
        # What staff's programs order is for a customer: it does not become the staff member's own.
        user_id = None if request.user.is_staff else request.user.pk
        return place(asked, user_id=user_id, key=key)


class OneOrder(GenericAPIView[Any]):
    permission_classes = [HasScope]
    scopes = {"GET": "orders:read"}

    @extend_schema(**describe.GET_ORDER)
    def get(self, request: Request, number: str) -> Response:
        [body] = order_bodies([_order(request, number)])
        return _tagged(request, body)


class OrderTimeline(GenericAPIView[Any]):
    permission_classes = [HasScope]
    scopes = {"GET": "orders:read"}

    @extend_schema(**describe.GET_TIMELINE)
    def get(self, request: Request, number: str) -> Response:
        order = _order(request, number)
        entries = [asdict(entry) for entry in timeline(order)]
        return Response({"why": why(order), "results": EntrySerializer(entries, many=True).data})


def _order(request: Request, number: str) -> Order:
    return get_object_or_404(orders_of(cast(User, request.user)), number=number)


def _tagged(request: Request, body: dict[str, Any]) -> Response:
    """The body under a strong ETag, or 304 when the client has this very body."""
    tag = f'"{hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = {name.removeprefix("W/") for name in parse_etags(request.headers.get("If-None-Match", ""))}
    if known & {tag, "*"}:
        return Response(status=304, headers=headers)
    return Response(body, headers=headers)
