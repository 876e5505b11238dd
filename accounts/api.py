"""How a program registers customers."""

from contextlib import suppress
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.registration import AlreadyRegistered, sign_up
from notifications.api.problems import refusals
from notifications.api.reading import EmailLine, Flag, Line, Text
from notifications.api.scopes import HasScope


class RegistrationSerializer(serializers.Serializer[Any]):
    email = EmailLine(max_length=254)
    password = Text(max_length=256, trim_whitespace=False, style={"input_type": "password"})
    name = Line(max_length=120, required=False, default="", allow_blank=True)
    newsletter = Flag(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            validate_password(attrs["password"], User(email=attrs["email"], name=attrs["name"]))
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from error
        return attrs


class RegistrationAnswerSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["accepted"])
    detail = serializers.CharField()


ACCEPTED = {"status": "accepted", "detail": "If the address is new here, the account exists now."}


class Accounts(APIView):
    permission_classes = [HasScope]
    scopes = {"POST": "customers:write"}

    @extend_schema(
        operation_id="register_customer",
        summary="Register a customer",
        description="The answer is the same whether or not somebody has this address already.",
        request=RegistrationSerializer,
        responses={202: RegistrationAnswerSerializer, **refusals(400, 401, 403, 406, 413, 415)},
        examples=[
            OpenApiExample(
                "A new customer",
                value={
                    "email": "ada@example.org",
                    "password": "correct horse battery staple",
                    "name": "Ada Lovelace",
                    "newsletter": True,
                },
                request_only=True,
            ),
            OpenApiExample("Always", value=ACCEPTED, response_only=True, status_codes=["202"]),
        ],
    )
    def post(self, request: Request) -> Response:
        asked = RegistrationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        with suppress(AlreadyRegistered):  # nobody learns from us who is a customer here
            sign_up(**asked.validated_data)
        return Response(ACCEPTED, status=202)
