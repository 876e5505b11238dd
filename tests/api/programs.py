"""A program that talks to the API, as the tests see it: `Program(user, scopes)`."""

import json
import secrets

from django.utils import timezone
from rest_framework.test import APIClient

from accounts import keys
from accounts.models import ApiKey, User
from notifications.api.scopes import SCOPES
from orders.models import Product, Stock

ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "Kade 1",
    "line2": "",
    "postal_code": "1621 AA",
    "city": "Hoorn",
    "country": "NL",
}
JSON = "application/json"


class Program:
    """Sends JSON under an API key of its own; without scopes given, one that may do everything."""

    def __init__(self, user=None, scopes=tuple(SCOPES)):
        self.user = user
        self.client = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
        if user is not None:
            self.key, plain = keys.issue(user=user, name="test", scopes=scopes)
            ApiKey.objects.filter(pk=self.key.pk).update(last_used_at=timezone.now())  # noted once a minute only
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {plain}")

    def get(self, path, query=None, **headers):
        return self.client.get(f"/api/v1/{path}", query or {}, headers=headers)

    def post(self, path, body=None, **headers):
        sent = body if isinstance(body, str | bytes) else json.dumps(body or {})
        return self.client.generic("POST", f"/api/v1/{path}", sent, content_type=JSON, headers=headers)

    def order(self, *, key=None, **changes):
        """POST orders/ with a good order, but for the changes; a change to `...` leaves the field out."""
        body = {name: value for name, value in {**good_order(), **changes}.items() if value is not ...}
        return self.post("orders/", body, **{"Idempotency-Key": key or secrets.token_hex(16)})


def good_order(sku="MUG-RED", quantity=1, card="pm_card_visa"):
    return {
        "email": "ada@example.org",
        "items": [{"sku": sku, "quantity": quantity}],
        "shipping_address": ADDRESS,
        "shipping_method": "standard",
        "payment_method": card,
    }


def a_product(sku="MUG-RED", *, price=1290, units=100):
    product = Product.objects.create(sku=sku, slug=sku.lower(), name=f"The {sku}", price=price)
    Stock.objects.create(product=product, on_hand=units)
    return product


def customer(email="ada@example.org", **fields):
    return User.objects.create(email=email, **fields)


def staff(email="staff@example.org"):
    """Somebody who may do everything."""
    return customer(email, is_staff=True, is_superuser=True)


def sent(response):
    """The body as it went over the wire; a rendered answer need not be what the view had in mind."""
    return json.loads(response.content)
