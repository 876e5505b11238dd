"""Vouchers: who may use one, how often, what it takes off, and that no limit is passed however many come at once."""

import re
import threading
import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone

from orders import checkout, guesses, inventory, vouchers
from orders.checkout import Buyer, Declined, InvalidOrder, Item, place_order
from orders.gateways import stripe
from orders.gateways.base import Outcome, Status
from orders.models import Order, Product, ShippingPrice, Stock, Voucher, VoucherUse
from tests.api.programs import Program, customer, sent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nobody_has_guessed(monkeypatch):
    """And no window ends while a test tries."""
    cache.clear()
    monkeypatch.setattr(guesses, "_window", lambda: 1)


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    """`bank(Status.DECLINED)` is what it says next, yes until then; `.charges` is what it was asked."""

    def say(status):
        def charge(request):
            say.charges.append(request)
            taken = status is Status.SUCCEEDED
            return Outcome(
                status=status,
                gateway_id=f"pi_{uuid.uuid4()}",
                amount=request.amount if taken else None,
                currency=request.currency if taken else None,
            )

        monkeypatch.setattr(stripe, "charge", charge)

    say.charges = []
    say(Status.SUCCEEDED)
    return say


@pytest.fixture
def mug():
    made = Product.objects.create(sku="MUG", slug="mug", name="A mug", price=2000)
    inventory.set_on_hand(product=made, on_hand=500, note="test")
    return made


def voucher(code="TEN", **facts):
    return Voucher.objects.create(**{"code": code, "kind": "percent", "value": 10, **facts})


def buy(code="TEN", *, quantity=1, email="ada@example.com", **more):
    address = {"name": "Ada", "line1": "Quay 1", "postal_code": "1011", "city": "Hoorn", "country": "NL"}
    return place_order(
        items=[Item(sku="MUG", quantity=quantity)],
        buyer=Buyer(email=email, shipping_address=address),
        payment_method="pm_card_visa",
        voucher=code,
        **more,
    )


def refusal(code="TEN", **how):
    """Why it does not count. Nothing may have been stored or charged for it."""
    before = Order.objects.count()
    with pytest.raises(InvalidOrder) as refused:
        buy(code, **how)
    assert Order.objects.count() == before
    assert Stock.objects.get().reserved == 0
    [error] = refused.value.errors
    assert error.field == "voucher"
    return error.detail


def uses(code="TEN"):
    """What the voucher counts, and what its uses say: always the same."""
    found = Voucher.objects.get(code=code)
    assert found.uses == VoucherUse.objects.filter(voucher=found, state="taken").count()
    return found.uses


# -- What it takes off ------------------------------------------------------------------------


def test_a_percentage_is_taken_off_the_goods_and_kept_with_the_order(mug):
    voucher(value=15)

    order = buy(quantity=3)

    assert (order.subtotal, order.discount, order.shipping, order.total) == (6000, 900, 490, 5590)
    assert order.voucher_code == "TEN"
    assert [line.discount for line in order.lines.all()] == [900]
    assert uses() == 1


def test_an_amount_is_taken_off_but_never_more_than_the_goods_cost(mug):
    voucher("FIVE", kind="amount", value=500, currency="EUR")
    voucher("LOTS", kind="amount", value=99_999, currency="EUR")

    assert buy("FIVE").discount == 500
    assert (buy("LOTS").discount, Order.objects.latest("pk").total) == (2000, 490)


@pytest.mark.parametrize("written", ["ten", " TEN ", "Ten", "\tten\n"])
def test_case_and_space_around_a_code_do_not_matter(mug, written):
    voucher()

    assert buy(written).voucher_code == "TEN"


@pytest.mark.parametrize("near", ["T EN", "TEN1", "\u0422EN", "%", "T_N", "10"])  # the third begins with a Cyrillic T
def test_a_code_that_is_nearly_right_is_wrong(mug, near):
    voucher()

    assert refusal(near) == f"There is no voucher {near!r}."


def test_an_order_cannot_become_free(mug):
    voucher(value=100)
    ShippingPrice.objects.update(free_from=0)

    assert "nothing is left to pay" in refusal()


# -- Whom it does not count for ---------------------------------------------------------------

SOON, BEFORE = timezone.now() + timedelta(days=1), timezone.now() - timedelta(days=1)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"is_active": False}, "There is no voucher 'TEN'."),
        ({"starts_at": SOON}, f"The voucher TEN begins on {SOON:%d %B %Y}."),
        ({"ends_at": BEFORE}, f"The voucher TEN ended on {BEFORE:%d %B %Y}."),
        ({"currency": "USD"}, "The voucher TEN is for orders in USD, not in EUR."),
        ({"minimum": 2001}, "The voucher TEN needs goods for at least €20.01."),
        ({"most": 7, "uses": 7}, "The voucher TEN has been used up."),
        ({"most": 0}, "The voucher TEN has been used up."),
        ({"most_each": 0}, "The voucher TEN can be used 0 times by one customer."),
    ],
)
def test_why_a_voucher_does_not_count_is_said_in_a_sentence(mug, bank, facts, why):
    voucher(**facts)

    assert refusal() == why
    assert bank.charges == []


@pytest.mark.parametrize("facts", [{"starts_at": BEFORE}, {"ends_at": SOON}, {"minimum": 2000}, {"currency": "EUR"}])
def test_a_voucher_counts_up_to_its_limits(mug, facts):
    voucher(**facts)

    assert buy().discount == 200


def test_one_customer_uses_it_as_often_as_allowed_however_the_address_is_written(mug):
    voucher(most_each=2)
    buy(email="ada@example.com")
    buy(email="Ada@Example.com")

    assert refusal(email="ADA@example.com") == "The voucher TEN can be used 2 times by one customer."
    assert buy(email="ben@example.com").discount == 200
    assert uses() == 3


@pytest.mark.parametrize("earlier", ["paid", "placed", "refunded"])
def test_a_first_order_is_one_before_which_nothing_was_paid_or_is_in_payment(mug, bank, earlier):
    voucher(first_order_only=True)
    bank(Status.UNKNOWN if earlier == "placed" else Status.SUCCEEDED)
    buy("", email="Ada@example.com")
    Stock.objects.update(reserved=0)
    if earlier == "refunded":
        Order.objects.update(status="refunded")
    bank(Status.SUCCEEDED)

    assert refusal() == "The voucher TEN is for a customer's first order."


def test_a_declined_order_was_not_the_first_one(mug, bank):
    voucher(first_order_only=True)
    bank(Status.DECLINED)
    with pytest.raises(Declined):
        buy()
    bank(Status.SUCCEEDED)

    assert buy().discount == 200


# -- Counting ---------------------------------------------------------------------------------


def test_an_order_that_ends_unpaid_gives_its_use_back(mug, bank):
    voucher(most=1)
    bank(Status.DECLINED)

    with pytest.raises(Declined):
        buy()

    assert uses() == 0
    bank(Status.SUCCEEDED)
    assert buy().discount == 200
    assert uses() == 1


def test_a_use_is_given_back_once(mug):
    voucher()
    order = buy()

    vouchers.release(order)
    vouchers.release(order)

    assert uses() == 0


def test_an_order_without_a_voucher_asks_nothing_about_vouchers(mug, django_assert_num_queries):
    order = buy("")

    with django_assert_num_queries(0):
        vouchers.release(order)


@pytest.mark.parametrize(
    ("facts", "rival", "again"),
    [
        ({"most": 1}, "ben@example.com", False),
        ({"most": 2}, "ben@example.com", True),
        ({"most_each": 1}, "ada@example.com", False),
        ({"most_each": 1}, "ben@example.com", True),
        ({"most_each": 2}, "ada@example.com", True),
        ({"most": 1}, None, True),
    ],
)
def test_a_late_success_takes_its_use_again_unless_another_has_taken_it(mug, facts, rival, again):
    voucher(**facts)
    late = buy()
    vouchers.release(late)
    if rival:
        buy(email=rival)
    before = uses()

    with transaction.atomic():
        assert vouchers.take_again(late) is again

    assert uses() == before + again


def test_of_two_first_orders_the_late_one_loses(mug, bank):
    voucher(first_order_only=True)
    bank(Status.DECLINED)
    with pytest.raises(Declined) as declined:
        buy()
    bank(Status.SUCCEEDED)
    buy()

    with transaction.atomic():
        assert vouchers.take_again(declined.value.order) is False
    assert uses() == 1


def test_a_late_success_counts_after_the_voucher_has_ended(mug):
    voucher()
    late = buy()
    vouchers.release(late)
    Voucher.objects.update(ends_at=BEFORE, is_active=False)

    with transaction.atomic():
        assert vouchers.take_again(late) is True
        assert vouchers.take_again(late) is True

    assert uses() == 1


# -- At once ----------------------------------------------------------------------------------


def between_quote_and_order(monkeypatch, happens):
    """Run `happens` when the price is known and nothing is written yet."""
    asked = checkout.quote

    def quote_then(*args, **terms):
        quoted = asked(*args, **terms)
        happens()
        return quoted

    monkeypatch.setattr(checkout, "quote", quote_then)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"uses": 5}, "The voucher TEN has been used up."),
        ({"ends_at": BEFORE}, f"The voucher TEN ended on {BEFORE:%d %B %Y}."),
        ({"is_active": False}, "There is no voucher 'TEN'."),
        ({"value": 50}, "The voucher TEN has changed: look at the price again."),
        ({"kind": "amount", "currency": "EUR"}, "The voucher TEN has changed: look at the price again."),
        ({"minimum": 5000}, "The voucher TEN needs goods for at least €50.00."),
    ],
)
def test_what_changes_a_voucher_at_the_last_moment_is_told_before_any_charge(mug, bank, monkeypatch, change, why):
    voucher(most=5)
    between_quote_and_order(monkeypatch, lambda: Voucher.objects.update(**change))

    assert refusal() == why
    assert bank.charges == []


def at_once(number, act):
    """Run `act(n)` in so many threads that start together; what each returned or raised."""
    results, start = [], threading.Barrier(number)

    def run(n):
        start.wait()
        try:
            results.append(act(n))
        except InvalidOrder as refused:
            results.append(refused)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(
    ("facts", "email"),
    [
        ({"most": 3}, "buyer{}@example.com"),
        ({"most_each": 3}, "ada@example.com"),
    ],
)
def test_no_limit_is_passed_by_twelve_at_once(mug, bank, facts, email):
    voucher(**facts)

    results = at_once(12, lambda n: buy(email=email.format(n)))

    paid = [order for order in results if isinstance(order, Order)]
    assert (len(paid), len(bank.charges), Order.objects.count(), uses()) == (3, 3, 3, 3)
    assert {str(refused).split(":")[0] for refused in results if refused not in paid} == {"voucher"}
    assert (Stock.objects.get().on_hand, Stock.objects.get().reserved) == (497, 0)


def test_of_eight_first_orders_at_once_one_is_the_first(mug, bank):
    voucher(first_order_only=True)

    results = at_once(8, lambda n: buy(email="ada@example.com"))

    assert sum(isinstance(order, Order) for order in results) == 1
    assert (len(bank.charges), uses()) == (1, 1)


# -- On the pages -----------------------------------------------------------------------------


@pytest.fixture
def cart(client, mug):
    client.post("/cart/add/", {"sku": "MUG", "quantity": 2})
    return client


def form(client, **other):
    page = client.get("/checkout/").content.decode()
    names = ("key", "expected_total", "expected_cart")
    hidden = {name: re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in names}
    typed = {"email": "ada@example.com", "name": "Ada Buyer", "line1": "Quay 1", "postal_code": "1011", "city": "Hoorn"}
    chosen = {"country": "NL", "shipping_method": "standard", "payment_method": "pm_card_visa"}
    return {**hidden, **typed, **chosen, **other}


def apply(client, code, *, htmx=True, **more):
    headers = {"HX-Request": "true"} if htmx else {}
    return client.post("/checkout/voucher/", form(client, voucher=code, **more), headers=headers)


def test_an_applied_voucher_changes_the_sums_at_once(cart):
    voucher()

    page = apply(cart, "ten").content.decode()

    assert 'name="expected_total" value="4090"' in page
    assert "Voucher TEN" in page
    assert "€4.00 less." in page
    assert "<html" not in page


def test_without_scripts_the_whole_page_comes_back_with_all_that_was_typed(cart):
    voucher()

    answer = apply(cart, "TEN", htmx=False, shipping_method="express")
    page = answer.content.decode()

    assert answer.status_code == 200
    assert 'name="expected_total" value="4590"' in page
    assert all(typed in page for typed in ('value="Ada Buyer"', 'value="Quay 1"', 'value="TEN"'))
    assert re.search(r'value="express"[^>]* checked', page)
    assert re.search(r'value="NL" selected', page)


def test_an_applied_voucher_is_shown_in_the_cart_and_paid_with(cart, bank):
    voucher()
    apply(cart, "TEN")

    assert "€4.00</dd>" in cart.get("/cart/").content.decode()
    cart.post("/checkout/", form(cart, voucher="TEN"))

    assert [charge.amount for charge in bank.charges] == [4090]
    assert "voucher" not in cart.session


def test_a_code_typed_but_not_applied_is_shown_before_it_is_charged(cart, bank):
    voucher()

    answer = cart.post("/checkout/", form(cart, voucher="TEN"))

    assert answer.status_code == 409
    assert "The total is now €40.90" in answer.content.decode()
    assert bank.charges == []


def test_a_wrong_code_is_told_beside_its_field_and_nothing_is_charged(cart, bank):
    answer = cart.post("/checkout/", form(cart, voucher="NOPE"))
    page = answer.content.decode()

    assert answer.status_code == 422
    assert 'href="#id_voucher"' in page
    assert 'value="NOPE"' in page
    assert page.count("There is no voucher &#x27;NOPE&#x27;.") == 2  # above, and at the field
    assert bank.charges == []


def test_whose_voucher_it_is_not_is_told_at_the_last_button_and_never_before(cart, bank):
    voucher(first_order_only=True, most_each=1)
    buy("", email="ada@example.com")

    looked = apply(cart, "TEN", email="ada@example.com").content.decode()
    answer = cart.post("/checkout/", form(cart, voucher="TEN"))

    assert "Voucher TEN" in looked
    assert answer.status_code == 422
    assert "The voucher TEN is for a customer&#x27;s first order." in answer.content.decode()
    assert (len(bank.charges), Order.objects.count()) == (1, 1)


def test_a_voucher_that_is_used_up_at_the_last_moment_is_told_at_its_field(cart, bank, monkeypatch):
    voucher(most=1)
    apply(cart, "TEN")
    filled = form(cart, voucher="TEN")
    between_quote_and_order(monkeypatch, lambda: Voucher.objects.update(uses=1))

    answer = cart.post("/checkout/", filled)

    assert answer.status_code == 422
    assert "The voucher TEN has been used up." in answer.content.decode()
    assert (bank.charges, Order.objects.count()) == ([], 0)


def test_a_voucher_that_ended_meanwhile_is_said_in_the_cart_and_at_the_checkout(cart):
    voucher()
    apply(cart, "TEN")
    Voucher.objects.update(ends_at=BEFORE)

    for path in ("/cart/", "/checkout/"):
        assert "The voucher TEN ended on" in cart.get(path).content.decode()
    assert 'name="expected_total" value="4490"' in cart.get("/checkout/").content.decode()


@pytest.mark.parametrize("how", [{"voucher": ""}, {"voucher": "TEN", "remove": "1"}])
def test_a_voucher_can_be_taken_away_again(cart, how):
    voucher()
    apply(cart, "TEN")

    page = cart.post("/checkout/voucher/", form(cart) | how, headers={"HX-Request": "true"}).content.decode()

    assert 'name="expected_total" value="4490"' in page
    assert cart.session["voucher"] == ""


def test_looking_at_the_sums_tries_no_code_and_changes_nothing(cart):
    voucher()

    page = cart.get("/checkout/summary/?voucher=TEN&shipping_method=express").content.decode()

    assert 'name="expected_total" value="4990"' in page
    assert "voucher" not in cart.session


def test_who_tries_many_codes_must_wait_and_is_told_no_more(cart):
    voucher()
    for number in range(guesses.MOST):
        assert "There is no voucher" in apply(cart, f"GUESS{number}").content.decode()

    for answer in (
        apply(cart, "TEN"),
        apply(cart, "TEN", htmx=False),
        cart.post("/checkout/", form(cart, voucher="TEN")),
    ):
        page = answer.content.decode()
        assert guesses.TOO_MANY in page
        assert "Voucher TEN" not in page
    assert answer.status_code == 429
    assert Order.objects.count() == 0


def test_who_has_guessed_too_much_can_still_buy_without_a_code(cart, bank):
    for number in range(guesses.MOST):
        apply(cart, f"GUESS{number}")

    cart.post("/checkout/", form(cart))

    assert [charge.amount for charge in bank.charges] == [4490]


def test_a_wrong_code_at_the_last_button_is_one_guess_not_two(cart):
    voucher()
    for number in range(guesses.MOST - 1):
        cart.post("/checkout/", form(cart, voucher=f"GUESS{number}"))

    assert "Voucher TEN" in apply(cart, "TEN").content.decode()


def test_after_the_window_one_may_try_again(cart, monkeypatch):
    voucher()
    for number in range(guesses.MOST):
        apply(cart, f"GUESS{number}")
    monkeypatch.setattr(guesses, "_window", lambda: 2)

    assert "Voucher TEN" in apply(cart, "TEN").content.decode()


# -- In the API -------------------------------------------------------------------------------


@pytest.fixture
def ada(mug):
    return Program(customer(), ["orders:read", "orders:write"])


def order(program, **changes):
    return program.order(items=[{"sku": "MUG", "quantity": 2}], **changes)


def test_a_program_orders_with_a_voucher(ada):
    voucher()

    answer = order(ada, voucher="ten")

    assert answer.status_code == 201
    body = sent(answer)
    assert (body["discount"]["amount"], body["total"]["amount"], body["voucher"]) == (400, 4090, "TEN")
    assert body["lines"][0]["discount"]["amount"] == 400


def test_a_voucher_that_does_not_count_is_a_400_that_names_the_field(ada, bank):
    answer = order(ada, voucher="NOPE")

    assert answer.status_code == 400
    assert sent(answer)["errors"] == [{"field": "voucher", "detail": "There is no voucher 'NOPE'."}]
    assert (bank.charges, Order.objects.count()) == ([], 0)


def test_a_program_that_tries_codes_is_told_to_wait(ada, bank):
    voucher()
    for number in range(guesses.MOST):
        order(ada, voucher=f"GUESS{number}")

    answer = order(ada, voucher="TEN")

    assert (answer.status_code, answer["Retry-After"], sent(answer)["code"]) == (429, "600", "too_many_guesses")
    assert order(ada).status_code == 201
    assert len(bank.charges) == 1
