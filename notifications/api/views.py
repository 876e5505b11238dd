"""Events and deliveries for programs of staff: look, retry, discard."""

from typing import Any
from uuid import UUID

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from notifications import correlation
from notifications.api.problems import problem, refusals
from notifications.api.scopes import IsStaffWithScope
from notifications.api.shapes import (
    DeliveryFilter,
    DeliveryInFullSerializer,
    DeliverySerializer,
    DiscardSerializer,
    EventFilter,
    EventInFullSerializer,
    EventSerializer,
    RetriedSerializer,
    RetrySerializer,
)
from notifications.pipeline.decisions import NotWaiting, discard, retry, retry_all
from notifications.pipeline.models import Attempt, Delivery, DeliveryQuerySet, Event

_READ = refusals(401, 403, 404, 406)
_LIST = refusals(400, 401, 403, 406)
_DECIDE = refusals(400, 401, 403, 404, 406, 413, 415, _409="It is running or done: there is nothing to decide.")


class Deliveries(GenericAPIView[Any]):
    permission_classes = [IsStaffWithScope]
    scopes = {"GET": "events:read"}

    @extend_schema(
        operation_id="list_deliveries",
        summary="Deliveries, newest first; the dead letters are those in state dead",
        parameters=[DeliveryFilter],
        responses={200: DeliverySerializer(many=True), **_LIST},
    )
    def get(self, request: Request) -> Response:
        asked = DeliveryFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        rows = Delivery.objects.filter(**asked.validated_data).select_related("event")
        return self.get_paginated_response(DeliverySerializer(self.paginate_queryset(rows), many=True).data)


class OneDelivery(GenericAPIView[Any]):
    permission_classes = [IsStaffWithScope]
    scopes = {"GET": "events:read"}

    @extend_schema(
        operation_id="get_delivery",
        summary="One delivery with its failed tries",
        responses={200: DeliveryInFullSerializer, **_READ},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_in_full(id))


class RetryDelivery(GenericAPIView[Any]):
    permission_classes = [IsStaffWithScope]
    scopes = {"POST": "deliveries:write"}

    @extend_schema(
        operation_id="retry_delivery",
        summary="Try a dead or waiting delivery again, now",
        request=None,
        responses={200: DeliveryInFullSerializer, **_DECIDE},
    )
    def post(self, request: Request, id: UUID) -> Response:
        try:
            retry(delivery=_delivery(id), by=correlation.actor())
        except NotWaiting as late:
            return problem(409, f"{late}.", code="not_waiting")
        return Response(_in_full(id))


class DiscardDelivery(GenericAPIView[Any]):
    permission_classes = [IsStaffWithScope]
    scopes = {"POST": "deliveries:write"}

    @extend_schema(
        operation_id="discard_delivery",
        summary="Give a dead or waiting delivery up",
        request=DiscardSerializer,
        responses={200: DeliveryInFullSerializer, **_DECIDE},
        examples=[
            OpenApiExample("A closed account", value={"reason": "The customer closed the account."}, request_only=True)
        ],
    )
    def post(self, request: Request, id: UUID) -> Response:
        delivery = _delivery(id)
        asked = DiscardSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            discard(delivery=delivery, by=correlation.actor(), reason=asked.validated_data["reason"])
        except NotWaiting as late:
            return problem(409, f"{late}.", code="not_waiting")
        return Response(_in_full(id))


class RetryDeliveries(GenericAPIView[Any]):
    permission_classes = [IsStaffWithScope]
    scopes = {"POST": "deliveries:write"}

    @extend_schema(
        operation_id="retry_deliveries",
        summary="Try all dead deliveries of a kind again, the oldest first",
        request=RetrySerializer,
        responses={200: RetriedSerializer, **refusals(400, 401, 403, 406, 413, 415)},
        examples=[
            OpenApiExample("The mail server is back", value={"handler": "notifications.send_letter"}, request_only=True)
        ],
    )
    def post(self, request: Request) -> Response:
        asked = RetrySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        only = {name: value for name, value in asked.validated_data.items() if name != "limit"}
        chosen = Delivery.objects.filter(**only).order_by("id")[: asked.validated_data["limit"]]
        return Response({"retried": retry_all(deliveries=chosen, by=correlation.actor())})


class Events(GenericAPIView[Any]):
    permission_classes = [IsStaffWithScope]
    scopes = {"GET": "events:read"}

    @extend_schema(
        operation_id="list_events",
        summary="Events, newest first",
        parameters=[EventFilter],
        responses={200: EventSerializer(many=True), **_LIST},
    )
    def get(self, request: Request) -> Response:
        asked = EventFilter(data=request.query_params)
        asked.is_valid(raise_exception=True)
        rows = Event.objects.filter(**asked.validated_data).select_related("causation")
        return self.get_paginated_response(EventSerializer(self.paginate_queryset(rows), many=True).data)


class OneEvent(GenericAPIView[Any]):
    permission_classes = [IsStaffWithScope]
    scopes = {"GET": "events:read"}

    @extend_schema(
        operation_id="get_event",
        summary="One event, and who had to act on it",
        responses={200: EventInFullSerializer, **_READ},
    )
    def get(self, request: Request, id: UUID) -> Response:
        deliveries = Prefetch("deliveries", queryset=Delivery.objects.order_by("id"))
        rows = Event.objects.select_related("causation").prefetch_related(deliveries)
        return Response(EventInFullSerializer(get_object_or_404(rows, uid=id)).data)


def _delivery(uid: UUID) -> Delivery:
    return get_object_or_404(_deliveries(), uid=uid)


def _deliveries() -> DeliveryQuerySet:
    tries = Prefetch("attempts", queryset=Attempt.objects.order_by("id"))
    return Delivery.objects.select_related("event").prefetch_related(tries)


def _in_full(uid: UUID) -> Any:
    return DeliveryInFullSerializer(_delivery(uid)).data
