"""What a buyer reads and may do while money and goods move: approve, wait, cancel, be paid back."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from orders import fulfilment, inventory, links, payments, refunds
from orders.gateways.base import Outcome, RefundOutcome, RefundStatus, Status
from orders.models import Order, OrderEdit, PaymentAttempt, Product, Refund
from orders.refunds import Units

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bank(monkeypatch):
    """`bank(Status.X)` is what it says of charges from now on; refunds are `bank.refunds`."""

    def outcome(status, request, **more):
        money = status in (Status.SUCCEEDED, Status.AUTHORIZED)
        facts = (
            {"amount": request.amount, "currency": request.currency} if money else {"amount": None, "currency": None}
        )
        return Outcome(**{"status": status, "gateway_id": f"pi_{request.reference}", **facts, **more})

    def say(status, **more):
        for verb in ("charge", "find", "capture"):
            monkeypatch.setattr(f"orders.gateways.stripe.{verb}", lambda ask, **_: outcome(status, ask, **more))

    def refund(ask):
        return RefundOutcome(status=say.refunds, gateway_id=f"re_{ask.id}", amount=ask.amount, currency=ask.currency)

    say.refunds = RefundStatus.DONE
    monkeypatch.setattr("orders.gateways.stripe.refund", refund)
    monkeypatch.setattr("orders.gateways.stripe.cancel", lambda ask, **_: outcome(Status.CANCELLED, ask))
    say(Status.SUCCEEDED)
    return say


def buy(client, quantity=2):
    made = Product.objects.create(sku="MUG", slug="mug", name="A mug", price=1200)
    inventory.set_on_hand(product=made, on_hand=10, note="test")
    client.post("/cart/add/", {"sku": "MUG", "quantity": quantity})
    page = client.get("/checkout/").content.decode()
    names = ("key", "expected_total", "expected_cart")
    form = {name: re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in names}
    form |= {"email": "ada@example.com", "name": "Ada", "line1": "Quay 1", "postal_code": "1011", "city": "Hoorn"}
    client.post("/checkout/", form | {"country": "NL", "shipping_method": "standard", "payment_method": "pm_card_visa"})
    return Order.objects.get()


def read(client, order):
    return client.get(links.guest_path(order)).content.decode()


def news(client, order):
    found = re.search(r'<p id="news"[^>]*>(.*?)</p>', read(client, order), re.DOTALL)[1]
    return re.sub(r"<[^>]+>", "", found).strip()


def badge(client, order):
    found = re.search(r'<span class="badge ([a-z_]+)"', read(client, order))
    return found[1]


# -- 3-D Secure -------------------------------------------------------------------------------

ASKS = {"action_url": "https://bank.example/3ds/1"}


def test_the_banks_question_is_a_link_with_its_time(client, bank):
    bank(Status.REQUIRES_ACTION, **ASKS)
    order = buy(client)
    page = read(client, order)
    assert "Your bank wants you to approve this payment." in news(client, order)
    assert re.search(r'<a role="button" id="approve" href="https://bank.example/3ds/1"', page)
    until = timezone.localtime(order.last_attempt.started_at + timedelta(minutes=15))
    assert "Until <time" in page and f">{until:%H:%M}</time> your things are kept" in page
    assert 'hx-trigger="every 1s"' in page


def test_who_comes_back_from_the_bank_without_the_signed_link_sees_the_order(client, bank):
    bank(Status.REQUIRES_ACTION, **ASKS)
    order = buy(client)
    answer = client.get(f"/orders/{order.number}/", {"redirect_status": "succeeded"})
    assert (answer.status_code, answer["Location"]) == (303, links.guest_path(order))
    assert Client().get(f"/orders/{order.number}/").status_code == 404


def test_cart_and_checkout_say_what_is_held_until_when_and_where_to_pay(client, bank):
    bank(Status.REQUIRES_ACTION, **ASKS)
    order = buy(client)
    client.post("/cart/add/", {"sku": "MUG"})
    for path in ("/cart/", "/checkout/"):
        page = client.get(path).content.decode()
        assert f"The things of order {order.number} are held for you until" in page
        assert links.guest_path(order).replace("&", "&amp;") in page
    assert "held for you" not in Client().get("/cart/").content.decode()
    payments.settle(attempt_id=order.last_attempt.pk, outcome=_paid(order))
    assert "held for you" not in client.get("/cart/").content.decode()


def _paid(order, **more):
    facts = {"amount": order.total, "currency": "EUR", "gateway_id": "pi_9", **more}
    return Outcome(status=Status.SUCCEEDED, **facts)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Status.SUCCEEDED, "Thank you. It is paid"),
        (Status.DECLINED, "The bank declined the card. Nothing was charged."),
        (Status.CANCELLED, "The payment was not completed in time, so the order is closed. Nothing was charged."),
    ],
)
def test_every_end_of_the_banks_question_is_told(client, bank, said, words):
    bank(Status.REQUIRES_ACTION, **ASKS)
    order = buy(client)
    attempt = order.last_attempt
    money = (
        _paid(order) if said is Status.SUCCEEDED else Outcome(status=said, gateway_id="p", amount=None, currency=None)
    )
    payments.settle(attempt_id=attempt.pk, outcome=money)
    assert words in news(client, order)
    assert 'id="approve"' not in read(client, order)


# -- Money that is kept is never called failed --------------------------------------------------


def test_a_wrong_amount_is_given_back_and_said_so(client, bank):
    bank(Status.SUCCEEDED, amount=2990)
    bank.refunds = RefundStatus.UNKNOWN
    order = buy(client)
    assert "Your bank took another amount" in news(client, order)
    assert "€29.90 is on its way back to your card." in news(client, order)
    assert badge(client, order) == "coming_back"
    assert "failed" not in read(client, order).replace("stop failed", "")


def test_a_late_success_is_given_back_and_said_so(client, bank):
    bank(Status.REQUIRES_ACTION, **ASKS)
    order = buy(client)
    attempt = order.last_attempt
    gone = Outcome(status=Status.CANCELLED, gateway_id="pi_9", amount=None, currency=None)
    payments.settle(attempt_id=attempt.pk, outcome=gone)
    inventory.set_on_hand(product=Product.objects.get(), on_hand=0, note="sold elsewhere")
    payments.settle(attempt_id=attempt.pk, outcome=_paid(order))
    assert "Your payment came after all, but too late" in news(client, order)
    assert badge(client, order) == "coming_back"


def test_a_refund_that_the_bank_refused_is_neither_called_failed_nor_nothing_charged(client, bank):
    order = buy(client)
    bank.refunds = RefundStatus.FAILED
    fulfilment.cancel(order=order)
    words = news(client, order)
    assert "The bank has not passed your money on to you yet." in words
    assert "charged" not in words


def test_a_part_given_back_is_told_with_the_order_on_its_way(client, bank):
    order = buy(client)
    fulfilment.ship(order=order, lines=[Units(sku="MUG", quantity=1)], carrier="PostNL", tracking="3SABC")
    refunds.refund(order=order, amount=300, reason="a crack")
    page = read(client, order)
    assert "A part of your order is on its way" in news(client, order)
    assert "€3.00 has been given back" in news(client, order)
    assert badge(client, order) == "partly_refunded"
    assert "PostNL" in page and "3SABC" in page and "1 × A mug" in page


def test_a_refunded_order_says_so(client, bank):
    order = buy(client)
    refunds.refund(order=order)
    assert "€28.90 has been given back" in news(client, order)
    assert badge(client, order) == "refunded"


def test_a_declined_change_does_not_call_the_paid_order_declined(client, bank):
    order = buy(client)
    edit = OrderEdit.objects.create(order=order, before=[], after=[], difference=500, state="refused", actor="user:1")
    PaymentAttempt.objects.create(
        order=order, purpose="difference", edit=edit, state="declined", amount=500, currency="EUR",
        payment_method="x", finished_at=timezone.now(),
    )  # fmt: skip
    assert "Thank you. It is paid" in news(client, order)
    assert badge(client, order) == "paid"


# -- Cancel -----------------------------------------------------------------------------------


def cancel_link(client, order):
    found = re.search(r'id="cancel" href="([^"]+)"', read(client, order))
    return found and found[1].replace("&amp;", "&")


def press_cancel(client, link):
    page = client.get(link).content.decode()
    key = re.search(r'name="key" value="([^"]+)"', page)[1]
    return client.post(link, {"key": key}, follow=True), key


def test_a_guest_cancels_a_paid_order_by_the_signed_link_after_being_asked(client, bank):
    order = buy(client)
    elsewhere = Client()
    link = cancel_link(elsewhere, order)
    assert "€28.90 goes back to the card" in elsewhere.get(link).content.decode()
    assert Order.objects.get().status == "paid"
    answer, _ = press_cancel(elsewhere, link)
    assert Order.objects.get().status == "cancelled"
    assert "The order is cancelled." in answer.content.decode()
    assert "€28.90 has been given back" in news(client, order)
    assert Product.objects.get().stock.on_hand == 10
    assert cancel_link(client, order) is None


def test_pressed_twice_it_is_cancelled_and_paid_back_once(client, bank):
    order = buy(client)
    link = cancel_link(client, order)
    _, key = press_cancel(client, link)
    again = client.post(link, {"key": key})
    assert (again.status_code, again["Location"]) == (303, links.guest_path(order))
    assert Refund.objects.count() == 1


def test_two_presses_of_two_sessions_at_once_both_lead_to_the_order(client, bank):
    """Before the first answer has set its cookie, the second press comes as somebody else."""
    order = buy(client)
    link = cancel_link(client, order)
    answers = [Client().post(link, {"key": "7"}) for _ in range(2)]

    assert [answer["Location"] for answer in answers] == [links.guest_path(order)] * 2
    assert Refund.objects.count() == 1


def test_an_order_in_payment_can_be_cancelled_and_nothing_is_charged(client, bank):
    bank(Status.REQUIRES_ACTION, **ASKS)
    order = buy(client)
    press_cancel(client, cancel_link(client, order))
    assert Order.objects.get().status == "cancelled"
    assert news(client, order) == "This order is cancelled. Nothing was charged."
    assert badge(client, order) == "not_charged"


def test_what_has_left_cannot_be_cancelled_and_the_page_says_why(client, bank):
    order = buy(client)
    link = cancel_link(client, order)
    fulfilment.ship(order=order)
    answer = client.post(link, {"key": str(uuid.uuid4())})
    assert answer.status_code == 409
    assert "It is on its way." in answer.content.decode()
    assert cancel_link(client, order) is None
    assert Refund.objects.count() == 0


def test_neither_strangers_nor_staff_cancel_for_the_buyer(client, bank):
    order = buy(client)
    path = f"/orders/{order.number}/cancel/"
    staff = Client()
    staff.force_login(User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True))
    for browser in (Client(), staff):
        assert browser.get(path).status_code == 404
        assert browser.post(path, {"key": "x"}).status_code == 404
    assert "Cancel this order" not in staff.get(f"/orders/{order.number}/").content.decode()
    assert Order.objects.get().status == "paid"


def test_cancelling_needs_the_form_of_this_site(bank):
    browser = Client()
    order = buy(browser)
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(f"{links.guest_path(order)}".replace("/?", "/cancel/?"), {"key": "x"})
    assert answer.status_code == 403
    assert Order.objects.get().status == "paid"


# -- The receipt ------------------------------------------------------------------------------


def test_the_receipt_has_the_invoice_its_credit_notes_and_what_was_given_back(client, bank):
    order = buy(client)
    refunds.refund(order=order, amount=300, reason="a crack")
    page = client.get(links.guest_path(order).replace("/?", "/receipt/?")).content.decode()
    numbers = [paper.number for paper in order.invoices.order_by("pk")]
    assert len(numbers) == 2
    assert all(number in page for number in numbers)
    assert "\N{MINUS SIGN}€3.00" in page
    assert "a crack" in page
