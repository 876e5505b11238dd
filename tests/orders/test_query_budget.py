"""What a checkout may ask of the database. Every statement counts, also those that begin and end transactions."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import keys
from accounts.models import User
from notifications.webhooks import interest
from orders.checkout import Buyer, Item, Key, place_order
from orders.inventory import set_on_hand
from orders.models import Product

ADDRESS = {"name": "A", "line1": "1", "line2": "", "postal_code": "1", "city": "B", "country": "NL"}
BUDGET = 30  # statements of place_order, for two lines
WHOLE_REQUEST = 45  # with the client's key before it, and the answer after it


@pytest.fixture(autouse=True)
def who_listens_is_known(monkeypatch):
    """A process asks for webhook endpoints once in five seconds; here the furnishing of the shelf has asked."""
    monkeypatch.setattr(interest, "REMEMBERED", float("inf"))


@pytest.fixture
def shelf(transactional_db):
    for sku in ("MUG", "TOTE"):
        product = Product.objects.create(sku=sku, slug=sku.lower(), name=sku, price=1490)
        set_on_hand(product=product, on_hand=5, note="")
    return ("MUG", "TOTE")


@pytest.fixture
def at_most():
    """Fails with the list of statements when there were more of them than promised."""

    def check(captured, budget):
        # The ring after a commit, for a relay on another machine, is a hint and no part of the work.
        statements = [query["sql"] for query in captured.captured_queries if "pg_notify" not in query["sql"]]
        shortened = "\n".join(f"{n:3} {sql[:150]}" for n, sql in enumerate(statements, 1))
        print(f"{len(statements)} statements of {budget}:\n{shortened}")
        assert len(statements) <= budget

    return check


def test_a_checkout_of_two_lines_keeps_within_its_budget(shelf, bank, at_most):
    items = [Item(sku=sku, quantity=1) for sku in shelf]
    buyer = Buyer(email="a@example.com", shipping_address=ADDRESS)
    key = Key(scope="user:1", key="k", request_hash="0" * 64)

    with CaptureQueriesContext(connection) as captured:
        order = place_order(items=items, buyer=buyer, payment_method="pm_card_visa", key=key)

    assert order.status == "paid"
    at_most(captured, BUDGET)


def test_the_whole_request_of_a_checkout_keeps_within_its_budget(shelf, bank, client, at_most):
    user = User.objects.create_user(email="a@example.com", password="long enough a password")
    _, plain = keys.issue(user=user, name="test", scopes=["orders:write", "orders:read"])
    body = {
        "email": "a@example.com",
        "items": [{"sku": sku, "quantity": 1} for sku in shelf],
        "shipping_address": ADDRESS,
        "shipping_method": "standard",
        "payment_method": "pm_card_visa",
    }
    headers = {"Authorization": f"Bearer {plain}", "Idempotency-Key": "k"}

    with CaptureQueriesContext(connection) as captured:
        answer = client.post("/api/v1/orders/", json.dumps(body), content_type="application/json", headers=headers)

    assert answer.status_code == 201, answer.content
    at_most(captured, WHOLE_REQUEST)
