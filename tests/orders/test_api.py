"""Orders for programs, over the real bank."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from notifications.pipeline.models import Event
from orders.api.reach import as_it_is
from orders.checkout import Key, KeyInProgress
from orders.gateways import stripe
from orders.idempotency import remember
from orders.models import IdempotencyKey, Order, PaymentAttempt, Product
from orders.payments import charge_of, settle
from tests.api.programs import ADDRESS, Program, a_product, customer, good_order, sent, staff

PROBLEM = "application/problem+json"


@pytest.fixture
def shelf(transactional_db):
    return a_product()


@pytest.fixture
def ada(shelf, bank):
    """A program of a customer, in a shop with one product and a bank."""
    return Program(customer(), ["orders:read", "orders:write"])


# -- Products ---------------------------------------------------------------------------------


def test_products_are_read_without_a_key(db, settings):
    settings.SITE_URL = "https://shop.example"
    a_product(units=7)

    answer = Program().get("products/MUG-RED/")

    assert answer.status_code == 200
    assert sent(answer) == {
        "sku": "MUG-RED",
        "name": "The MUG-RED",
        "description": "",
        "price": {"amount": 1290, "currency": "EUR"},
        "available": 7,
        "url": "https://shop.example/products/mug-red/",
    }


def test_products_no_longer_sold_are_not_there(db):
    product = a_product()
    product.is_active = False
    product.save()

    assert Program().get("products/MUG-RED/").status_code == 404
    assert sent(Program().get("products/"))["results"] == []


@pytest.mark.parametrize("length", [1, 30])
def test_the_list_of_products_costs_one_query_whatever_its_length(db, django_assert_num_queries, length):
    for number in range(length):
        a_product(f"CUP-{number}")

    with django_assert_num_queries(1):
        answer = Program().get("products/", {"limit": 100})

    assert len(sent(answer)["results"]) == length


# -- Placing ----------------------------------------------------------------------------------


def test_an_order_is_charged_once_and_answered_with_201(ada, bank):
    answer = ada.order(items=[{"sku": "MUG-RED", "quantity": 2}])

    body = sent(answer)
    assert answer.status_code == 201
    assert answer["X-Request-ID"] == body["correlation_id"]
    order = Order.objects.get(number=body["number"])
    assert (order.status, order.user_id) == ("paid", ada.user.pk)
    [charge] = bank.ledger(reference=str(order.attempts.get().pk), kind="charge")
    assert (charge["amount"], charge["status"]) == (3070, "succeeded")
    assert (body["status"], body["payment_status"], body["email"]) == ("paid", "paid", "ada@example.org")
    assert body["lines"] == [
        {
            "sku": "MUG-RED",
            "name": "The MUG-RED",
            "quantity": 2,
            "unit_price": {"amount": 1290, "currency": "EUR"},
            "total": {"amount": 2580, "currency": "EUR"},
            "discount": {"amount": 0, "currency": "EUR"},
            "tax": {"amount": 0, "currency": "EUR"},
            "tax_rate": 0,
            "shipped": 0,
            "cancelled": 0,
            "returned": 0,
            "refunded": 0,
        }
    ]
    assert (body["refunds"], body["shipments"], body["serial"]) == ([], [], order.serial)
    assert [invoice["amount"]["amount"] for invoice in body["invoices"]] == [3070]
    totals = {name: body[name]["amount"] for name in ("subtotal", "shipping", "tax", "discount", "total")}
    assert totals == {"subtotal": 2580, "shipping": 490, "tax": 0, "discount": 0, "total": 3070}
    assert {effect["handler"] for effect in body["side_effects"]} >= {
        "orders.email_confirmation",
        "orders.notify_shipping",
    }


def test_a_repeat_gives_the_same_answer_and_charges_nothing(ada, bank):
    first = ada.order(key="once")
    again = ada.order(key="once")

    assert (again.status_code, sent(again)) == (first.status_code, sent(first)) == (201, sent(first))
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert again["X-Request-ID"] != first["X-Request-ID"]
    assert Order.objects.count() == 1
    assert len(bank.ledger(reference=str(PaymentAttempt.objects.get().pk))) == 1


def test_the_same_request_in_other_words_is_the_same_request(ada):
    first = ada.order(key="once")
    body = {**good_order(), "shipping_address": {**ADDRESS, "country": "nl", "line2": None}, "voucher": None}

    again = ada.post("orders/", json.dumps(body, indent=3), **{"Idempotency-Key": "once"})

    assert (again.status_code, sent(again)["number"]) == (201, sent(first)["number"])


def test_the_same_key_with_another_body_is_refused(ada):
    ada.order(key="once")

    answer = ada.order(key="once", email="eve@example.org")

    assert (answer.status_code, sent(answer)["code"]) == (422, "key_reused")
    assert Order.objects.count() == 1


def test_two_customers_may_choose_the_same_key(ada):
    eve = Program(customer("eve@example.org"))

    assert ada.order(key="once").status_code == eve.order(key="once").status_code == 201
    assert Order.objects.count() == 2


def test_a_new_api_key_of_the_same_user_replays_too(ada):
    first = ada.order(key="once")

    again = Program(ada.user).order(key="once")

    assert (sent(again), again["Idempotent-Replayed"]) == (sent(first), "true")


def test_many_requests_at_once_with_one_key_make_one_order(ada, bank):
    programs = [Program(ada.user) for _ in range(6)]
    answers = []

    def press(program):
        answers.append(program.order(key="once"))
        connection.close()

    presses = [threading.Thread(target=press, args=[program]) for program in programs]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join()

    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert all(answer["Retry-After"] == "1" for answer in answers if answer.status_code == 409)
    assert len(bank.ledger(reference=str(PaymentAttempt.objects.get().pk))) == 1
    assert ada.order(key="once").status_code == 201


def test_a_declined_card_is_402_with_the_banks_reason_and_the_order(ada, bank):
    answer = ada.order(key="once", payment_method="pm_card_chargeDeclinedInsufficientFunds")

    body = sent(answer)
    order = Order.objects.get()
    assert (answer.status_code, answer["Content-Type"]) == (402, PROBLEM)
    assert (body["code"], body["order"], order.status) == ("insufficient_funds", order.number, "declined")
    assert bank.ledger(reference=str(order.attempts.get().pk), status="succeeded") == []
    again = ada.order(key="once", payment_method="pm_card_chargeDeclinedInsufficientFunds")
    assert (again.status_code, again["Content-Type"], sent(again)) == (402, PROBLEM, body)
    assert again["Idempotent-Replayed"] == "true"


def test_what_is_not_there_is_409_and_says_what_is_left(ada, bank):
    a_product("LAST-ONE", units=1)
    charges = len(bank.ledger())
    items = [{"sku": "MUG-RED", "quantity": 1}, {"sku": "LAST-ONE", "quantity": 2}]

    answer = ada.order(key="once", items=items)

    body = sent(answer)
    assert (answer.status_code, answer["Content-Type"], body["code"]) == (409, PROBLEM, "out_of_stock")
    assert body["lines"] == [{"sku": "LAST-ONE", "wanted": 2, "available": 1}]
    assert (Order.objects.count(), len(bank.ledger())) == (0, charges)
    again = ada.order(key="once", items=items)
    assert (again.status_code, sent(again), again["Idempotent-Replayed"]) == (409, body, "true")


def test_sold_out_is_not_kept_for_a_key_that_became_an_order_meanwhile(ada):
    placed = sent(ada.order(key="once"))
    IdempotencyKey.objects.update(status_code=None, body=None)  # as if it were still being charged
    row = IdempotencyKey.objects.get()
    key = Key(scope=row.scope, key=row.key, request_hash=row.request_hash)

    with pytest.raises(KeyInProgress):
        remember(key=key, status=409, body={}, order=None)

    assert sent(ada.order(key="once"))["number"] == placed["number"]


def test_a_bank_that_does_not_answer_is_202_and_a_repeat_tells_how_it_stands(ada, bank):
    answer = ada.order(key="once", payment_method="pm_bank_error_after_charge")

    body = sent(answer)
    assert (answer.status_code, answer["Retry-After"]) == (202, "2")
    assert (body["status"], body["payment_status"], body["next_action"]) == ("placed", "checking", None)
    assert IdempotencyKey.objects.get().status_code is None
    again = ada.order(key="once", payment_method="pm_bank_error_after_charge")
    assert (again.status_code, sent(again)["number"], again["Idempotent-Replayed"]) == (202, body["number"], "true")


def test_a_202_becomes_201_once_the_bank_has_told(ada, bank, deliver_due):
    ada.order(key="once", payment_method="pm_bank_error_after_charge")
    Event.objects.get(name="payment.unanswered").deliveries.update(available_at=timezone.now())

    deliver_due()
    again = ada.order(key="once", payment_method="pm_bank_error_after_charge")

    assert (again.status_code, sent(again)["payment_status"]) == (201, "paid")
    assert len(bank.ledger(reference=str(PaymentAttempt.objects.get().pk), status="succeeded")) == 1


def test_an_outcome_that_comes_while_the_answer_is_read_is_told_whole(ada, bank):
    """The order's own row is read, the bank's word is written, the payments are read: 202 “paid” would be neither."""
    ada.order(key="once", payment_method="pm_bank_error_after_charge")
    attempt = PaymentAttempt.objects.get()
    order_was_read = []

    def meanwhile(execute, sql, params, many, context):
        if order_was_read and "orders_paymentattempt" in sql and sql.startswith("SELECT"):
            order_was_read.clear()
            settle(attempt_id=attempt.pk, outcome=stripe.find(charge_of(attempt)))
        elif 'FROM "orders_order" WHERE "orders_order"."id"' in sql:
            order_was_read.append(True)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(meanwhile):
        order = as_it_is(attempt.order)

    assert (order.status, order.payment_status) == ("paid", "paid")


def test_a_buyer_who_must_approve_is_told_where(ada):
    answer = ada.order(payment_method="pm_card_authenticationRequired")

    body = sent(answer)
    assert (answer.status_code, body["payment_status"]) == (202, "requires_action")
    assert body["next_action"] == {"type": "redirect", "url": PaymentAttempt.objects.get().action_url}
    assert body["next_action"]["url"].startswith("http")


def test_what_staff_order_is_not_the_staff_members_own(shelf, bank):
    answer = Program(staff()).order()

    assert (answer.status_code, Order.objects.get().user_id) == (201, None)


def test_prices_and_states_in_the_body_change_nothing(ada):
    answer = ada.order(
        items=[{"sku": "MUG-RED", "quantity": 1, "price": 1, "unit_price": 1}],
        total=1,
        subtotal={"amount": 1, "currency": "EUR"},
        discount=1780,
        status="shipped",
        user=1,
        number="WB-MINE",
        paid_at="2020-01-01T00:00:00Z",
    )

    order = Order.objects.get()
    assert answer.status_code == 201
    assert (order.total, order.discount, order.status, order.user) == (1780, 0, "paid", ada.user)
    assert order.number != "WB-MINE"


# -- What is refused --------------------------------------------------------------------------


@pytest.fixture
def asker(db):
    """A program whose requests are refused before the bank would be asked."""
    a_product()
    return Program(customer(), ["orders:read", "orders:write"])


def refused(answer):
    """The fields a 400 names."""
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM), answer.content
    assert (Order.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
    return {error["field"] for error in sent(answer)["errors"]}


@pytest.mark.parametrize(
    "quantity", [0, -1, 100, 10**9, 2**31, 2**63, 1.5, 1.0, "1", "1e3", "٣", "²", True, None, [], {}, [1]]
)
def test_a_quantity_is_a_whole_number_from_1_to_99(asker, quantity):
    assert refused(asker.order(items=[{"sku": "MUG-RED", "quantity": quantity}])) == {"items[0].quantity"}


@pytest.mark.parametrize("literal", ["1e3", "1e400", "1E0", "-0.0"])
def test_a_number_with_an_exponent_or_a_point_is_no_quantity(asker, literal):
    body = json.dumps(good_order()).replace('"quantity": 1', f'"quantity": {literal}')

    assert refused(asker.post("orders/", body, **{"Idempotency-Key": "once"})) == {"items[0].quantity"}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "01", "1_000", "0x1", "1e", "+1"])
def test_a_number_that_json_does_not_know_is_refused(asker, literal):
    body = json.dumps(good_order()).replace('"quantity": 1', f'"quantity": {literal}')

    answer = asker.post("orders/", body, **{"Idempotency-Key": "once"})

    assert refused(answer) == set()
    assert "JSON" in sent(answer)["detail"]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"email": ...}, {"email"}),
        ({"email": "nobody"}, {"email"}),
        ({"email": "a@example.org\nBcc: b@example.org"}, {"email"}),
        ({"email": "a" * 250 + "@example.org"}, {"email"}),
        ({"items": ...}, {"items"}),
        ({"items": []}, {"items"}),
        ({"items": {}}, {"items"}),
        ({"items": "MUG-RED"}, {"items"}),
        ({"items": ["MUG-RED"]}, {"items[0]"}),
        ({"items": [{"sku": "NO-SUCH", "quantity": 1}]}, {"items[0].sku"}),
        ({"items": [{"sku": 7, "quantity": 1}]}, {"items[0].sku"}),
        ({"items": [{"sku": "MUG\0RED", "quantity": 1}]}, {"items[0].sku"}),
        ({"items": [{"sku": "\ud800", "quantity": 1}]}, {"items[0].sku"}),
        ({"items": [{"sku": "MUG-RED", "quantity": 1}] * 2}, {"items[1].sku"}),
        ({"items": [{"sku": "MUG-RED", "quantity": 1}] * 51}, {"items"}),
        ({"shipping_method": "teleport"}, {"shipping_method"}),
        ({"payment_method": "4242424242424242"}, {"payment_method"}),
        ({"payment_method": ""}, {"payment_method"}),
        ({"voucher": "FREE"}, {"voucher"}),
        ({"shipping_address": ...}, {"shipping_address"}),
        ({"shipping_address": "Hoorn"}, {"shipping_address"}),
        ({"shipping_address": {**ADDRESS, "country": "XX"}}, {"shipping_address.country"}),
        ({"shipping_address": {**ADDRESS, "country": "NLD"}}, {"shipping_address.country"}),
        ({"shipping_address": {**ADDRESS, "city": "x" * 101}}, {"shipping_address.city"}),
        ({"shipping_address": {**ADDRESS, "name": "Ada\0"}}, {"shipping_address.name"}),
        ({"shipping_address": {**ADDRESS, "name": "Ada\r\nBcc: eve"}}, {"shipping_address.name"}),
        ({"shipping_address": {**ADDRESS, "line1": ["Kade 1"]}}, {"shipping_address.line1"}),
    ],
)
def test_a_bad_field_is_named(asker, changes, fields):
    assert refused(asker.order(**changes)) == fields


@pytest.mark.parametrize("key", ["", "k" * 65, "naïve", "tab\there", "snow☃"])
def test_the_idempotency_key_must_be_1_to_64_printable_ascii_characters(asker, key):
    answer = asker.post("orders/", good_order(), **({"Idempotency-Key": key} if key else {}))

    assert refused(answer) == {"Idempotency-Key"}
    assert "1 to 64 printable ASCII" in sent(answer)["errors"][0]["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"1" * 5000, b"[" * 100_000])
def test_a_body_that_is_not_an_object_is_refused(asker, body):
    assert refused(asker.post("orders/", body, **{"Idempotency-Key": "once"})) <= {
        "",
        "email",
        "items",
        "shipping_address",
        "payment_method",
    }


def test_a_deeply_nested_field_is_refused(asker):
    body = json.dumps(good_order())[:-1] + ', "x": ' + "[" * 50_000 + "]" * 50_000 + "}"

    assert refused(asker.post("orders/", body, **{"Idempotency-Key": "once"})) == set()


def test_a_body_of_ten_megabytes_is_413(asker):
    body = json.dumps({**good_order(), "padding": "x" * 10_000_000})

    answer = asker.post("orders/", body, **{"Idempotency-Key": "once"})

    assert (answer.status_code, answer["Content-Type"], sent(answer)["code"]) == (413, PROBLEM, "too_large")


# -- Reading ----------------------------------------------------------------------------------


def test_an_order_of_somebody_else_does_not_exist(ada):
    number = sent(ada.order())["number"]
    eve = Program(customer("eve@example.org"))

    assert [eve.get(f"orders/{number}/{page}").status_code for page in ("", "timeline/")] == [404, 404]
    assert sent(eve.get("orders/"))["results"] == []
    assert Program(staff()).get(f"orders/{number}/").status_code == 200


def test_a_strong_etag_holds_until_the_order_changes(ada, deliver_due):
    number = sent(ada.order())["number"]
    first = ada.get(f"orders/{number}/")

    known = ada.get(f"orders/{number}/", **{"If-None-Match": first["ETag"]})
    deliver_due()
    changed = ada.get(f"orders/{number}/", **{"If-None-Match": first["ETag"]})

    assert first["ETag"].startswith('"')
    assert (known.status_code, known.content, known["ETag"]) == (304, b"", first["ETag"])
    assert (changed.status_code, changed["ETag"] != first["ETag"]) == (200, True)


def test_an_order_tells_how_far_its_side_effects_are(ada, deliver_due):
    number = sent(ada.order())["number"]

    deliver_due()

    effects = {effect["handler"]: effect for effect in sent(ada.get(f"orders/{number}/"))["side_effects"]}
    confirmation = effects["orders.email_confirmation"]
    assert (confirmation["state"], confirmation["attempts"], confirmation["last_error"]) == ("done", 1, "")
    assert set(confirmation) == {"handler", "event", "state", "attempts", "next_attempt_at", "last_error"}


def test_the_timeline_is_in_order_and_tells_of_everything(ada, deliver_due):
    placed = ada.order()
    deliver_due()

    entries = sent(ada.get(f"orders/{sent(placed)['number']}/timeline/"))["results"]

    kinds = {"event", "delivery", "mail", "payment", "stock", "status", "invoice"}
    assert {entry["kind"] for entry in entries} == kinds
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert {entry["correlation_id"] for entry in entries} == {placed["X-Request-ID"]}


def test_orders_are_filtered_by_status_email_and_time(ada):
    paid = sent(ada.order())
    sent(ada.order(email="eve@example.org", payment_method="pm_card_chargeDeclined"))

    def numbers(**query):
        return [order["number"] for order in sent(ada.get("orders/", query))["results"]]

    assert numbers(status="paid") == [paid["number"]]
    assert numbers(email="ADA@example.org") == [paid["number"]]
    assert numbers(created_after=(timezone.now() + timedelta(minutes=1)).isoformat()) == []
    assert len(numbers(created_after="2020-01-01T00:00:00Z", status="", email="")) == 2


@pytest.mark.parametrize(
    "query",
    [
        {"status": "lost"},
        {"email": "\0"},
        {"created_after": "yesterday"},
        {"created_after": "0001-01-01T00:00:00+23:59"},
        {"cursor": "x"},
        {"cursor": "cD1hYmM="},
        {"cursor": "cD0lMDA="},
        {"cursor": "cj14"},
    ],
)
def test_a_filter_that_cannot_be_read_is_400(asker, query):
    assert refused(asker.get("orders/", query)) == set(query)


def place_orders(count, user):
    """Orders as rows: what the list costs does not depend on how they came about."""
    product = Product.objects.get()
    for number in range(count):
        order = Order.objects.create(
            user=user,
            email=user.email,
            currency="EUR",
            subtotal=1290,
            shipping=0,
            total=1290,
            shipping_method="standard",
            shipping_address=ADDRESS,
            correlation_id=f"request-{number}",
        )
        order.lines.create(product=product, sku=product.sku, name=product.name, unit_price=1290, quantity=1, total=1290)
        order.attempts.create(amount=1290, currency="EUR", payment_method="pm_card_visa")
        event = Event.objects.create(
            name="order.placed", subject=f"order:{order.pk}", payload={}, correlation_id=order.correlation_id
        )
        event.deliveries.create(handler="orders.email_confirmation")


@pytest.mark.parametrize("length", [1, 40])
def test_the_list_of_orders_costs_the_same_queries_whatever_its_length(asker, django_assert_num_queries, length):
    place_orders(length, asker.user)

    # The key, the page, its lines, its attempts, its side effects.
    with django_assert_num_queries(5):
        answer = asker.get("orders/", {"limit": 100})

    assert [len(order["side_effects"]) for order in sent(answer)["results"]] == [1] * length


@pytest.mark.parametrize("length", [1, 12])
def test_orders_with_refunds_and_parcels_cost_three_queries_more_in_all(asker, django_assert_num_queries, length):
    place_orders(length, asker.user)
    for n, order in enumerate(Order.objects.all(), 1):
        Order.objects.filter(pk=order.pk).update(serial=n, paid_at=timezone.now(), status="paid")
        order.attempts.update(captured=1290, captured_currency="EUR", state="succeeded", finished_at=timezone.now())
        order.refunds.create(attempt=order.attempts.get(), amount=1, currency="EUR", actor="test")
        order.lines.update(shipped=1)
        parcel = order.shipments.create(carrier="PostNL", actor="test")
        parcel.lines.create(line=order.lines.get(), quantity=1)
        order.invoices.create(series="2026", serial=n, kind="invoice", amount=1290, currency="EUR")

    with django_assert_num_queries(8):
        answer = asker.get("orders/", {"limit": 100})

    parts = [(len(one["refunds"]), len(one["shipments"]), len(one["invoices"])) for one in sent(answer)["results"]]
    assert parts == [(1, 1, 1)] * length


def test_pages_follow_each_other_by_cursor_and_hold_at_most_100(asker):
    place_orders(103, asker.user)

    first = asker.get("orders/", {"limit": 5000})
    rest = asker.client.get(sent(first)["next"])
    back = asker.client.get(sent(rest)["previous"])

    numbers = [order["number"] for answer in (first, rest) for order in sent(answer)["results"]]
    assert (len(sent(first)["results"]), len(sent(rest)["results"]), len(set(numbers))) == (100, 3, 103)
    assert first["Link"] == f'<{sent(first)["next"]}>; rel="next"'
    assert sent(back)["results"] == sent(first)["results"]


def test_a_user_who_may_no_longer_log_in_has_no_keys(asker):
    User.objects.update(is_active=False)

    assert asker.get("orders/").status_code == 401
