"""From the catalogue to the letters, by program and by browser pages."""

import json
import re
import secrets
import threading

from notifications.mail import mailbox
from tests.journeys import tables
from tests.journeys.visitor import Visitor
from tests.rig import ADDRESS, until


def an_email():
    return f"{secrets.token_hex(4)}@example.com"


def letters(shop, number):
    """The letters about an order, once the two that follow a payment are there."""
    return until(
        lambda: found if len(found := shop.mailbox(about=number)) >= 2 else None,
        within=20,
        what=f"the letters about {number}",
    )


def correlation_header(shop, letter):
    return mailbox.read(mailbox.find(shop.folder / "mailbox", letter.name))["X-Correlation-ID"]


def assert_all_followed(shop, number, *, email, correlation_id):
    """One charge; a letter to the buyer and one to the shipping department; one id everywhere; Celery did it."""
    confirmation, notice = sorted(letters(shop, number), key=lambda letter: letter.to != email)
    assert [confirmation.to, notice.to] == [email, "shipping@waybill.example"]
    assert {correlation_header(shop, letter) for letter in (confirmation, notice)} == {correlation_id}
    assert len(tables.charges(shop, number)) == 1
    told = shop.get(f"/api/v1/events/?correlation_id={correlation_id}&limit=100").json()["results"]
    assert {event["correlation_id"] for event in told} == {correlation_id}
    assert {"order.placed", "payment.received", "inventory.updated", "email.sent"} <= {e["name"] for e in told}
    assert shop.get(f"/api/v1/orders/{number}/").json()["correlation_id"] == correlation_id


def test_an_order_over_the_api_is_paid_and_everybody_is_told(shop, books_balance, no_server_error):
    before, email = shop.stock("PRINT-A3"), an_email()

    answer = shop.order(sku="PRINT-A3", quantity=3, email=email)

    order = answer.json()
    assert (answer.status, order["status"], order["payment_status"]) == (201, "paid", "paid")
    assert shop.stock("PRINT-A3") == before - 3
    on_hand = json.loads(shop.manage("stock", "show", "PRINT-A3", "--json").stdout)
    assert (on_hand["on_hand"], on_hand["available"]) == (before - 3, before - 3)
    assert answer.headers["X-Request-ID"] == order["correlation_id"]
    assert_all_followed(shop, order["number"], email=email, correlation_id=answer.headers["X-Request-ID"])
    [charge] = tables.charges(shop, order["number"])
    assert {"amount": charge["amount"], "currency": charge["currency"]} == order["total"]
    books_balance()


def test_a_healthy_shop_has_celery_do_the_work(shop):
    order = shop.order().json()
    letters(shop, order["number"])

    ran = until(lambda: all_done(shop, order["correlation_id"]), within=10, what="every delivery to be done")

    assert {kind for _, kind in ran} == {"worker"}


def all_done(shop, correlation_id):
    """Which kind of process ran which handler, once all are done; the watch over the payment waits its 15 s."""
    found = tables.deliveries(shop, correlation_id)
    due = [row for row in found if row[0] != "orders.settle_unanswered_payment"]
    return [(handler, kind) for handler, _, kind in due] if all(state == "done" for _, state, _ in due) else None


def fill_cart(shop, sku="TOTE-NAT", quantity=2):
    """A visitor at the checkout, having clicked from the catalogue."""
    visitor = Visitor(shop.url)
    visitor.go("/")
    product = re.search(rf'href="(/products/{sku.lower()}/)"', visitor.page.text)
    visitor.go(product[1])
    visitor.submit("/cart/add/", quantity=quantity)
    assert visitor.url.endswith("/cart/")
    visitor.go("/checkout/")
    return visitor


def typed(email, **more):
    return {"email": email, **ADDRESS, "shipping_method": "standard", "payment_method": "pm_card_visa", **more}


def test_an_order_by_the_pages_is_paid_and_everybody_is_told(shop, books_balance, no_server_error):
    before, email = shop.stock("TOTE-NAT"), an_email()
    visitor = fill_cart(shop)

    page = visitor.submit("/checkout/", **typed(email))

    assert page.status == 200
    [redirect] = visitor.sent_on
    [number] = tables.numbers(shop, email)
    assert f"/orders/{number}/" in visitor.url
    assert number in page.text
    assert shop.stock("TOTE-NAT") == before - 2
    until(lambda: "Confirmation e-mail: sent" in visitor.go(visitor.url).text, within=20, what="the page to say so")
    placed = shop.get(f"/api/v1/orders/{number}/").json()
    assert placed["payment_status"] == "paid"
    assert_all_followed(shop, number, email=email, correlation_id=redirect["X-Request-ID"])
    books_balance()


def test_a_button_pressed_four_times_at_once_is_one_order(shop, no_server_error):
    email = an_email()
    visitor = fill_cart(shop, quantity=1)
    pressed, ends = visitor.form("/checkout/").fields | typed(email), []
    start = threading.Barrier(4)

    def press():
        hand = visitor.twin()
        start.wait()
        ends.append((hand.send("/checkout/", pressed).status, hand.url))

    hands = [threading.Thread(target=press) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()

    [number] = tables.numbers(shop, email)
    assert [status for status, _ in ends] == [200] * 4
    assert all(f"/orders/{number}/" in url for _, url in ends)
    assert len(tables.charges(shop, number)) == 1


def test_a_form_without_its_token_is_refused(shop):
    visitor = fill_cart(shop)
    email = an_email()
    filled_in = visitor.form("/checkout/").fields | typed(email)

    page = visitor.send("/checkout/", filled_in | {"csrfmiddlewaretoken": "x" * 64})

    assert page.status == 403
    assert tables.numbers(shop, email) == []
