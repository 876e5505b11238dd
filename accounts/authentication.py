"""How a program says who it is: `Authorization: Bearer wb_…`."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import keys
from accounts.models import ApiKey, User
from notifications import correlation


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, _, plain = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = keys.recognise(plain=plain.strip())
        if key is None:
            raise AuthenticationFailed("This API key is unknown or has been revoked.")
        correlation.act_as(f"key:{key.pk}")
        return key.user, key

    def authenticate_header(self, _: Request) -> str:
        return 'Bearer realm="Waybill"'


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, _: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "wb_…"}
