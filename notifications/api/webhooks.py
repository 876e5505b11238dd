"""Webhook endpoints for programs: each sees its owner's, and what they were told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from notifications.api.problems import problem, refusals
from notifications.api.reading import Flag, Line
from notifications.api.scopes import HasScope
from notifications.webhooks import calls, endpoints
from notifications.webhooks.guard import LONGEST
from notifications.webhooks.models import Call, Endpoint

_READ = refusals(401, 403, 404, 406)
_LIST = refusals(400, 401, 403, 404, 406)
_WRITE = refusals(400, 401, 403, 404, 406, 413, 415)
_PRESS = refusals(401, 403, 404, 406, _409="It cannot be done now; `code` says why.")


class EndpointAskedSerializer(serializers.Serializer[Any]):
    url = Line(max_length=LONGEST, help_text="https:// or http://, port 443 or 80, a public address.")
    events = serializers.ListField(child=Line(max_length=100), min_length=1, max_length=50)
    description = Line(max_length=100, required=False, allow_blank=True, default="")


class EndpointChangedSerializer(serializers.Serializer[Any]):
    """Only what is to change."""

    url = Line(max_length=LONGEST, required=False)
    events = serializers.ListField(child=Line(max_length=100), min_length=1, max_length=50, required=False)
    description = Line(max_length=100, required=False, allow_blank=True)
    enabled = Flag(required=False, help_text="true: call it again; false: call it no more.")


class EndpointSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="uid")
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField(allow_blank=True)
    enabled = serializers.SerializerMethodField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_why = serializers.CharField(allow_blank=True)
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="Since when no call has got through; null while they do."
    )
    created_at = serializers.DateTimeField()

    def get_enabled(self, row: Endpoint) -> bool:
        return row.disabled_at is None


class NewEndpointSerializer(EndpointSerializer):
    secret = serializers.CharField(help_text="What calls are signed with. It is shown this once.")


class WebhookTrySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(min_value=0, help_text="0: no answer; `error` says why.")
    seconds = serializers.FloatField(min_value=0)
    error = serializers.CharField(allow_blank=True)
    answer = serializers.CharField(allow_blank=True, help_text="The beginning of what came back; staff see it.")


class CallSerializer(serializers.Serializer[Any]):
    """One event for one endpoint. `webhook-id` is the same at each try."""

    id = serializers.UUIDField(source="uid")
    webhook_id = serializers.CharField(source="message_id")
    event = serializers.CharField(source="event.name")
    state = serializers.ChoiceField(choices=Call.State.choices)
    attempts = serializers.IntegerField(min_value=0)
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    body = serializers.SerializerMethodField(help_text="Empty when you may not know of it any more.")
    tries = serializers.SerializerMethodField()

    def get_body(self, row: Call) -> str:
        return calls.body_for(row, self.context["viewer"])

    @extend_schema_field(WebhookTrySerializer(many=True))
    def get_tries(self, row: Call) -> list[dict[str, Any]]:
        return calls.tries_for(row, self.context["viewer"])


class _Webhooks(GenericAPIView[Any]):
    permission_classes = [HasScope]

    def _own(self, request: Request) -> Any:
        return Endpoint.objects.filter(owner_id=request.user.pk)

    def _endpoint(self, request: Request, uid: UUID) -> Endpoint:
        found: Endpoint = get_object_or_404(self._own(request), uid=uid)
        return found

    def _calls(self, request: Request, rows: Any, *, many: bool = False) -> Any:
        return CallSerializer(rows, many=many, context={"viewer": request.user}).data


class Endpoints(_Webhooks):
    scopes = {"GET": "webhooks:write", "POST": "webhooks:write"}

    @extend_schema(
        operation_id="list_webhooks",
        summary="Your webhook endpoints, newest first",
        responses={200: EndpointSerializer(many=True), **refusals(400, 401, 403, 406)},
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self._own(request))
        return self.get_paginated_response(EndpointSerializer(page, many=True).data)

    @extend_schema(
        operation_id="add_webhook",
        summary="Add a webhook endpoint",
        description="Calls follow the Standard Webhooks specification. The secret is in this answer and in no other.",
        request=EndpointAskedSerializer,
        responses={201: NewEndpointSerializer, **refusals(400, 401, 403, 406, 413, 415)},
        examples=[
            OpenApiExample(
                "Orders",
                value={"url": "https://example.com/hooks/waybill", "events": ["order.placed", "order.shipped"]},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        asked = EndpointAskedSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        with _said_by_field():
            made = endpoints.open_endpoint(owner=request.user, **asked.validated_data)
        where = reverse("api:webhook", args=[made.uid])
        return Response(NewEndpointSerializer(made).data, status=201, headers={"Location": where})


class OneEndpoint(_Webhooks):
    scopes = {"GET": "webhooks:write", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    @extend_schema(
        operation_id="get_webhook", summary="One webhook endpoint", responses={200: EndpointSerializer, **_READ}
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(EndpointSerializer(self._endpoint(request, id)).data)

    @extend_schema(
        operation_id="change_webhook",
        summary="Change, enable or disable a webhook endpoint",
        request=EndpointChangedSerializer,
        responses={200: EndpointSerializer, **_WRITE},
        examples=[OpenApiExample("Call it again", value={"enabled": True}, request_only=True)],
    )
    def patch(self, request: Request, id: UUID) -> Response:
        endpoint = self._endpoint(request, id)
        asked = EndpointChangedSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wanted = dict(asked.validated_data)
        enabled = wanted.pop("enabled", None)
        if wanted:
            now = {"url": endpoint.url, "events": endpoint.events, "description": endpoint.description}
            with _said_by_field():
                endpoints.change(endpoint, **{**now, **wanted})
        if enabled is not None:
            with _said_by_field():
                endpoints.switch(endpoint, on=enabled)
        return Response(EndpointSerializer(endpoint).data)

    @extend_schema(
        operation_id="delete_webhook",
        summary="Delete a webhook endpoint with its calls",
        responses={204: None, **_READ},
    )
    def delete(self, request: Request, id: UUID) -> Response:
        endpoints.remove(self._endpoint(request, id))
        return Response(status=204)


class SecretSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField()
    old_secret_until = serializers.DateTimeField(help_text="Until then calls carry a signature of the old one too.")


class Secret(_Webhooks):
    scopes = {"POST": "webhooks:write"}

    @extend_schema(
        operation_id="rotate_webhook_secret",
        summary="A new secret; the old one signs along for a day",
        request=None,
        responses={200: SecretSerializer, **_PRESS},
    )
    def post(self, request: Request, id: UUID) -> Response:
        endpoint = self._endpoint(request, id)
        try:
            endpoints.rotate(endpoint)
        except endpoints.Invalid as error:
            return problem(409, str(error), code="just_rotated")
        return Response(SecretSerializer(endpoint).data)


class Test(_Webhooks):
    scopes = {"POST": "webhooks:write"}

    @extend_schema(
        operation_id="test_webhook",
        summary="Call it once with `webhook.tested`",
        request=None,
        responses={202: CallSerializer, **_PRESS},
    )
    def post(self, request: Request, id: UUID) -> Response:
        endpoint = self._endpoint(request, id)
        if endpoint.disabled_at:
            return problem(409, "This endpoint is disabled.", code="endpoint_disabled")
        return Response(self._calls(request, endpoints.send_test(endpoint)), status=202)


class EndpointDeliveries(_Webhooks):
    scopes = {"GET": "webhooks:write"}

    @extend_schema(
        operation_id="list_webhook_deliveries",
        summary="What an endpoint was told, newest first",
        responses={200: CallSerializer(many=True), **_LIST},
    )
    def get(self, request: Request, id: UUID) -> Response:
        rows = self._endpoint(request, id).calls.select_related("event", "endpoint__owner")
        return self.get_paginated_response(self._calls(request, self.paginate_queryset(rows), many=True))


class Resend(_Webhooks):
    scopes = {"POST": "webhooks:write"}

    @extend_schema(
        operation_id="resend_webhook",
        summary="Call again with the same body under the same id",
        request=None,
        responses={202: CallSerializer, **_PRESS},
    )
    def post(self, request: Request, id: UUID, call: UUID) -> Response:
        endpoint = self._endpoint(request, id)
        if endpoint.disabled_at:
            return problem(409, "This endpoint is disabled.", code="endpoint_disabled")
        found = get_object_or_404(endpoint.calls.select_related("event", "endpoint__owner"), uid=call)
        if not calls.resend(found):
            return problem(409, "It is on its way already.", code="on_its_way")
        found.refresh_from_db()
        return Response(self._calls(request, found), status=202)


@contextmanager
def _said_by_field() -> Iterator[None]:
    """What an endpoint cannot be becomes a refusal that names the field."""
    try:
        yield
    except endpoints.Invalid as error:
        raise serializers.ValidationError({error.field: str(error)}) from error
