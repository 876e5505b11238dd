"""Who may do what: every address of the site, for every kind of visitor and every key, against authorisation.txt."""

import re
import uuid
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.test import Client
from django.urls import get_resolver
from model_bakery import baker
from rest_framework.test import APIClient

from accounts import keys
from accounts.models import Address, User
from notifications.api.scopes import SCOPES
from notifications.audit.models import AuditEntry
from notifications.campaigns.models import Campaign, Subscriber
from notifications.mail.models import Letter
from notifications.pipeline.models import Delivery, Event, Worker
from notifications.webhooks.models import Endpoint
from orders import links
from orders.models import Difference, GatewayEvent, Order, Product, ShippingMethod, Stock, TaxRate, Voucher
from tests.api.programs import ADDRESS
from uploads.models import Upload

TABLE = Path(__file__).with_name("authorisation.txt")
WHO = ("nobody", "owner", "stranger", "views", "orders", "admin")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ORDER_RIGHTS = ("view_order", "refund_order", "ship_order", "cancel_order", "return_order", "edit_order")
OWNERS = ("owner", "stranger", "views", "orders", "admin")
NO_METHOD = "405"


# -- The world: everything here is the owner's ------------------------------------------------------


@pytest.fixture
def people(db, bank):
    staff = {"is_staff": True}
    found = {
        "owner": User.objects.create(email="owner@example.org"),
        "stranger": User.objects.create(email="stranger@example.org"),
        "views": User.objects.create(email="views@example.org", **staff),
        "orders": User.objects.create(email="orders@example.org", **staff),
        "admin": User.objects.create(email="admin@example.org", is_superuser=True, **staff),
    }
    found["views"].user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    found["orders"].user_permissions.set(Permission.objects.filter(codename__in=ORDER_RIGHTS))
    return found


@pytest.fixture
def known(people):
    """What stands for the variable parts of an address, by what the route begins with."""
    owner = people["owner"]
    product = Product.objects.create(sku="MUG", slug="mug", name="Mug", price=1000)
    stock = Stock.objects.create(product=product, on_hand=5)
    order = an_order(user=owner, email=owner.email)
    event = Event.objects.create(name="order.placed", subject=f"order:{order.pk}", correlation_id="c", payload={})
    delivery = Delivery.objects.create(event=event, handler="orders.email_confirmation", queue="mail", state="ready")
    letter = Letter.objects.create(once="x", template="orders/confirmation", correlation_id="c", to=owner.email,
        subject="s", text="t", html="h", message_id="<x@y>")  # fmt: skip
    endpoint = Endpoint.objects.create(owner=owner, url="https://example.org/hook", events=["order.placed"])
    upload = baker.make(Upload, owner=owner, kind="image", status="rejected", reason="x", finished_at=order.placed_at)
    address = Address.objects.create(user=owner, is_default=True, **ADDRESS)
    passkey = Authenticator.objects.create(user=owner, type="webauthn", data={"name": "k"})
    key, _ = keys.issue(user=owner, name="k", scopes=[])
    Authenticator.objects.filter(pk=passkey.pk).delete()  # its number is known; nobody is asked for it
    return {
        "orders/": order.number, "products/<slug": product.slug, "products/^": product.sku,
        "accounts/webhooks": endpoint.uid, "accounts/addresses": address.uid, "api-keys": key.pk,
        "passkeys": passkey.pk, "uploads/": upload.uid, "admin/orders/order": order.pk, "admin/orders/stock": stock.pk,
        "admin/orders/product": product.pk, "admin/accounts/user": owner.pk, "admin/notifications/letter": letter.pk,
        "admin/notifications/event": event.pk, "admin/uploads/upload": upload.pk,
        "admin/notifications/delivery": delivery.pk, "admin/notifications/endpoint": endpoint.pk,
        "admin/notifications/auditentry": AuditEntry.objects.latest("pk").pk, **of_the_shop(order),
        "admin/notifications/failure": Delivery.objects.create(event=event, handler="x", queue="mail", state="dead",
            finished_at=event.occurred_at, last_error="No.", fingerprint="f").pk,
        "api/v1/deliveries": delivery.uid, "api/v1/events": event.uid,
        "api/v1/webhooks": endpoint.uid, "api/v1/uploads": upload.uid, "api/v1/products": product.sku,
        "api/v1/orders": order.number, "api/v1/^orders": order.number, "api/v1/^products": product.sku,
    }  # fmt: skip


def of_the_shop(order):
    """What belongs to nobody; only staff have pages of it."""
    rows = {
        "orders/difference": Difference(kind="stray_charge", reference="ch_1", detail="x", order=order),
        "orders/gatewayevent": GatewayEvent(external_id="evt_1", type="x", state="ignored", payload={},
                                            occurred_at=order.placed_at),
        "orders/shippingmethod": ShippingMethod(code="pigeon", name="Pigeon"),
        "orders/taxrate": TaxRate(country="XX", rate=2100),
        "orders/voucher": Voucher(code="TEN", kind="percent", value=10),
        "notifications/campaign": Campaign(name="spring", subject="s", text="t"),
        "notifications/subscriber": Subscriber(email="reader@example.org"),
        "notifications/worker": Worker(kind="relay", host="here", pid=1, lock_key=1),
        "auth/group": Group(name="Packers"),
    }  # fmt: skip
    for row in rows.values():
        row.save()
    return {f"admin/{path}": row.pk for path, row in rows.items()}


def an_order(**fields):
    sums = {"currency": "EUR", "subtotal": 1000, "shipping": 0, "total": 1000}
    to = {"shipping_method": "standard", "shipping_address": ADDRESS, "correlation_id": "c", "status": "expired"}
    return Order.objects.create(**sums, **to, **fields)


# -- Every address --------------------------------------------------------------------------------


def routes(resolver=None, before=""):
    for pattern in (resolver or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, route)
        else:
            yield re.sub(r"\^\(\?P<app_label>[^)]*\)/\$", "<app_label>/", route)  # lists all apps there are


def example(route, known):
    """A real address under this route: the owner's things where the route names one, else something that is not."""
    own = max((start for start in known if route.startswith(start) or f"/{start}" in route), key=len, default="")
    first = [str(known[own])] if own else []

    def value(match):
        kind = match[0]
        if first:
            return first.pop()
        return str(uuid.UUID(int=7)) if "uuid" in kind else "mug" if "slug" in kind else "7"

    if route.startswith("^media"):
        return f"/media/1700000000/{'x' * 43}/renditions/{uuid.UUID(int=7)}/{'0' * 32}.webp"
    if "<app_label>" in route:
        return "/admin/orders/"
    filled = re.sub(r"<[^>]+>|\(\?P<\w+>(?:\[[^]]*\]|[^)\[])*\)", value, re.sub(r"\?P(<\w+>)", r"?P\1", route))
    return "/" + re.sub(r"[\^$\\]", "", filled)


def asked(client, method, address):
    """What came back, in a world that is put back afterwards."""
    world = transaction.atomic()
    world._from_testcase = True  # as Django's own tests: what must be the outermost transaction may run in here
    with world:
        answer = client.generic(method, address)
        transaction.set_rollback(True)
    if answer.status_code == 302 and "/accounts/login/" in answer.url:
        return "login"
    return str(answer.status_code)


def visitors(people):
    found = {who: Client(raise_request_exception=False) for who in WHO}
    for who, user in people.items():
        found[who].force_login(user)
    return {who: client.cookies.output(header="", sep=";") for who, client in found.items()}


def browser(cookies):
    """A fresh one each time: an answer may take the session away."""
    client = Client(raise_request_exception=False)
    client.cookies.load(cookies)
    return client


def lines_of_pages(people, known):
    cookies = visitors(people)
    for route in routes():
        if route.startswith("api/v1/"):
            continue
        methods = METHODS[:2] if route.startswith("admin/") else METHODS
        address, alike = example(route, known), {}
        for method in methods:
            answers = tuple(asked(browser(cookies[who]), method, address) for who in WHO)
            alike.setdefault(answers, []).append(method)
        yield from _rows(route, alike)


def _rows(route, alike):
    """One for the methods that are answered alike; what nobody can ask for needs none."""
    for answers, methods in alike.items():
        if set(answers) != {NO_METHOD}:
            yield f"{route or '/'} {'+'.join(methods)}", list(answers)


def programs(people):
    """Keys with one scope each, and those who own them."""
    found = {}
    for who in OWNERS:
        for scope in SCOPES:
            client = APIClient(raise_request_exception=False)
            _, plain = keys.issue(user=people[who], name=scope, scopes=[scope])
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {plain}")
            found[who, scope] = client
    return found


def lines_of_keys(people, known):
    clients = programs(people)
    for route in (route for route in routes() if route.startswith("api/v1/")):
        address, alike = example(route, known), {}
        for method in METHODS:
            if asked(clients["admin", "orders:read"], method, address) != NO_METHOD:
                alike.setdefault(_answers(clients, method, address), []).append(method)
        yield from _rows(route, alike)


def _answers(clients, method, address):
    bare = asked(APIClient(raise_request_exception=False), method, address)
    opens = {key: asked(client, method, address) for key, client in clients.items()}
    return (bare, *(_scopes(opens, who) for who in OWNERS))


def _scopes(opens, who):
    """The scopes with which this person's key is let in; `-` for none, `all` where no scope is asked for."""
    able = [scope for scope in SCOPES if opens[who, scope] not in ("401", "403", "404")]
    return "all" if len(able) == len(SCOPES) else "+".join(able) or "-"


# -- The tests --------------------------------------------------------------------------------------


def expected():
    """`route METHOD` and what each column says."""
    rows = (line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#"))
    return {" ".join(row[:2]): row[2:] for row in rows}


def differences(found):
    """Lines as they would have to stand in the table, each with what it says there now."""
    wanted = expected()
    new = {name: answers for name, answers in found.items() if wanted.get(name) != answers}
    return [f"{name} {' '.join(found[name])} (now: {' '.join(wanted.get(name, ['not listed']))})" for name in new]


def test_every_page_answers_each_visitor_as_the_table_says(people, known):
    assert differences(dict(lines_of_pages(people, known))) == []


def test_every_key_opens_what_the_table_says(people, known):
    assert differences(dict(lines_of_keys(people, known))) == []


def test_the_table_names_no_address_that_is_gone():
    assert {name.split()[0] for name in expected()} - {route or "/" for route in routes()} == set()


def test_the_private_link_of_a_guest_opens_their_order_and_no_other(known):
    order = Order.objects.get()
    other = an_order(email="b@example.org")
    key = links.guest_path(order).partition("?")[2]

    opened = [Client().get(f"/orders/{one.number}/?{key}").status_code for one in (order, other)]

    assert opened == [200, 404]
