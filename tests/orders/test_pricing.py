"""What an order costs: prices, currencies, delivery, tax, and that every part adds up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.discounts import split
from orders.invalid import InvalidOrder
from orders.models import Product, ProductPrice, ShippingMethod, ShippingPrice, TaxRate, Voucher
from orders.offers import currencies
from orders.pricing import MOST_LINES, MOST_OF_ONE, MOST_TO_PAY, Item, PricedLine, Quote, quote, quote_goods
from orders.taxes import WHOLE, by_rate, half_up, tax_of

pytestmark = pytest.mark.django_db


def product(sku="MUG", price=1200, **facts):
    return Product.objects.create(
        **{"sku": sku, "slug": sku.lower(), "name": f"A {sku.lower()}", "price": price, **facts}
    )


def rate(country, rate, tax_class="standard"):
    return TaxRate.objects.create(country=country, tax_class=tax_class, rate=rate)


def deliver_in(currency, price, code="standard", **facts):
    method = ShippingMethod.objects.get(code=code)
    return ShippingPrice.objects.create(method=method, currency=currency, price=price, **facts)


def items(**quantities):
    return [Item(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]


def refused(*args, **terms):
    with pytest.raises(InvalidOrder) as refusal:
        quote(*args, **terms)
    return {error.field: error.detail for error in refusal.value.errors}


# -- The arithmetic ---------------------------------------------------------------------------

MONEY = st.integers(min_value=0, max_value=MOST_TO_PAY)
RATES = st.integers(min_value=0, max_value=WHOLE)


@pytest.mark.parametrize(
    ("amount", "rate", "contained", "on_top"),
    [
        (1210, 2100, 210, 254),  # 254.1
        (100, 2100, 17, 21),  # 17.36
        (3, 2000, 1, 1),  # exactly half a cent contained: up
        (50, 100, 0, 1),  # 0.495; exactly half a cent on top: up
        (1, 2100, 0, 0),
        (0, 2100, 0, 0),
        (999, 0, 0, 0),
        (2, 10_000, 1, 2),
    ],
)
def test_tax_is_rounded_half_up_to_the_minor_unit(amount, rate, contained, on_top):
    assert tax_of(amount, rate, included=True) == contained
    assert tax_of(amount, rate, included=False) == on_top


@given(amount=MONEY, rate=RATES, included=st.booleans())
def test_tax_is_never_further_than_half_a_unit_from_the_exact_one(amount, rate, included):
    denominator = WHOLE + rate if included else WHOLE

    tax = tax_of(amount, rate, included=included)

    assert -denominator < 2 * (tax * denominator - amount * rate) <= denominator
    assert 0 <= tax <= amount


@given(net=MONEY, rate=RATES)
def test_the_tax_in_a_price_is_the_tax_that_was_put_on_it(net, rate):
    assert tax_of(net + tax_of(net, rate, included=False), rate, included=True) == tax_of(net, rate, included=False)


@given(
    shares=st.lists(st.integers(min_value=1, max_value=MOST_TO_PAY), min_size=1, max_size=MOST_LINES), data=st.data()
)
def test_a_discount_is_spread_to_the_last_unit_and_no_line_gives_more_than_it_costs(shares, data):
    amount = data.draw(st.integers(min_value=0, max_value=sum(shares)))

    parts = split(amount, shares)

    assert sum(parts) == amount
    for part, share in zip(parts, shares, strict=True):
        assert 0 <= part <= share
        assert abs(part * sum(shares) - amount * share) < sum(shares)  # less than a unit from its exact part


@given(amount=st.integers(min_value=0, max_value=60), shares=st.lists(st.just(20), min_size=3, max_size=3))
def test_equal_lines_give_equal_parts_but_for_one_unit(amount, shares):
    parts = split(amount, shares)

    assert max(parts) - min(parts) <= 1
    assert parts == sorted(parts, reverse=True)  # of equal ones the first


def test_the_largest_remainder_gets_the_unit_that_is_left():
    assert (split(1, [1, 2]), split(10, [1, 5, 3]), split(2, [1, 1, 1])) == ([0, 1], [1, 6, 3], [1, 1, 0])


def test_nothing_is_spread_over_nothing():
    assert (split(0, []), split(0, [0, 0])) == ([], [0, 0])


def test_rates_are_added_up_each_by_itself():
    parts = [(part.percent, part.amount) for part in by_rate([(900, 5), (2100, 7), (900, 1), (0, 0), (2100, 0)])]

    assert parts == [("21", 7), ("9", 6)]


@given(
    prices=st.lists(st.tuples(st.integers(1, 100_000), st.integers(1, MOST_OF_ONE), RATES), min_size=1, max_size=9),
    percent=st.integers(0, 100),
    shipping=st.integers(0, 5000),
    included=st.booleans(),
)
def test_the_parts_of_a_quote_add_up_to_its_total(prices, percent, shipping, included):
    totals = [price * quantity for price, quantity, _ in prices]
    discount = half_up(sum(totals) * percent, 100)
    parts = split(discount, totals)
    lines = [
        PricedLine(
            product=Product(),
            quantity=quantity,
            unit_price=price,
            discount=part,
            tax_rate=rate,
            tax=tax_of(price * quantity - part, rate, included=included),
        )
        for (price, quantity, rate), part in zip(prices, parts, strict=True)
    ]

    quoted = Quote(
        lines=lines, currency="EUR", shipping=shipping, shipping_tax_rate=2100, discount=discount, includes_tax=included
    )

    assert quoted.total == quoted.subtotal + quoted.shipping + quoted.tax - quoted.discount
    assert sum(line.discount for line in lines) == quoted.discount
    delivery = tax_of(shipping, 2100, included=included)
    assert quoted.tax + quoted.tax_included == sum(line.tax for line in lines) + delivery
    assert 0 in (quoted.tax, quoted.tax_included)


# -- Goods and currencies ---------------------------------------------------------------------


def test_a_quote_is_todays_price_and_the_delivery():
    product("MUG", 1200)
    product("HAT", 500)

    quoted = quote(items(MUG=2, HAT=1), "standard")

    assert (quoted.subtotal, quoted.shipping, quoted.tax, quoted.total) == (2900, 490, 0, 3390)
    assert [(line.product.sku, line.unit_price, line.total) for line in quoted.lines] == [
        ("MUG", 1200, 2400),
        ("HAT", 500, 500),
    ]


def test_every_bad_field_is_named_at_once():
    product("MUG")
    product("OLD", is_active=False)

    errors = refused([*items(MUG=0, OLD=1, NONE=100), Item(sku="MUG", quantity=1)], "teleport", voucher="NOPE")

    assert errors == {
        "items[0].quantity": "Must be 1 to 99.",
        "items[1].sku": "There is no product 'OLD'.",
        "items[2].sku": "There is no product 'NONE'.",
        "items[2].quantity": "Must be 1 to 99.",
        "items[3].sku": "'MUG' is on another line already.",
        "shipping_method": "Must be one of standard, express for an order in EUR, not 'teleport'.",
        "voucher": "There is no voucher 'NOPE'.",
    }


@pytest.mark.parametrize("number", [0, MOST_LINES + 1])
def test_an_order_has_one_to_fifty_lines(number):
    wanted = [Item(sku=f"P{index}", quantity=1) for index in range(number)]

    assert refused(wanted, "standard") == {"items": f"An order has 1 to 50 lines, not {number}."}


def test_a_product_is_sold_at_its_price_in_another_currency():
    ProductPrice.objects.create(product=product("MUG", 1200), currency="USD", price=1350)
    deliver_in("USD", 600)

    quoted = quote(items(MUG=2), "standard", currency="USD")

    assert (quoted.currency, quoted.subtotal, quoted.shipping, quoted.total) == ("USD", 2700, 600, 3300)


def test_a_price_of_the_products_own_currency_can_be_overruled_too():
    ProductPrice.objects.create(product=product("MUG", 1200), currency="EUR", price=1100)

    assert quote(items(MUG=1), "standard").subtotal == 1100


def test_yen_have_no_smaller_unit():
    ProductPrice.objects.create(product=product("MUG", 1200), currency="JPY", price=2100)
    deliver_in("JPY", 800)
    rate("JP", 1000)

    quoted = quote(items(MUG=3), "standard", currency="JPY", country="JP")

    assert (quoted.total, quoted.tax_included) == (7100, 573 + 73)  # 572.7 and 72.7


def test_what_is_not_sold_in_a_currency_is_named_line_by_line():
    ProductPrice.objects.create(product=product("MUG"), currency="USD", price=1350)
    product("HAT")
    deliver_in("USD", 600)

    assert refused(items(MUG=1, HAT=1), "standard", currency="USD") == {"items[1].sku": "'HAT' is not sold in USD."}


def test_a_currency_that_the_shop_does_not_know_is_named_with_those_it_knows():
    product("MUG")

    errors = refused(items(MUG=1), "standard", currency="XYZ")

    assert errors == {"items[0].sku": "'MUG' is not sold in XYZ.", "currency": "Must be one of EUR, not 'XYZ'."}


def test_a_currency_is_offered_when_goods_and_delivery_have_a_price_in_it():
    mug = product("MUG")
    deliver_in("USD", 600)
    ProductPrice.objects.create(product=mug, currency="USD", price=1350)
    ProductPrice.objects.create(product=mug, currency="CHF", price=1400)  # nothing is delivered for francs
    deliver_in("GBP", 500)  # nothing is sold for pounds

    assert currencies() == ["EUR", "USD"]


def test_an_order_cannot_cost_more_than_the_payment_service_takes():
    product("YACHT", 2_000_000)

    assert refused(items(YACHT=50), "standard") == {"items": "One order costs at most €999,999.99."}


# -- Delivery ---------------------------------------------------------------------------------


def test_delivery_is_free_from_a_worth_of_goods_after_their_discount():
    product("MUG", 1000)
    ShippingPrice.objects.update(free_from=3000)
    Voucher.objects.create(code="LESS", kind="amount", value=1, currency="EUR")

    assert quote(items(MUG=2), "standard").shipping == 490
    assert quote(items(MUG=3), "standard").shipping == 0
    assert quote(items(MUG=3), "standard", voucher="LESS").shipping == 490


def test_a_way_of_delivery_that_does_not_go_there_is_named_with_those_that_do():
    product("MUG")
    ShippingMethod.objects.filter(code="express").update(countries=["NL", "DE"])

    assert quote(items(MUG=1), "express", country="NL").shipping == 990
    assert refused(items(MUG=1), "express", country="CH") == {
        "shipping_method": "Must be one of standard for an order in EUR to CH, not 'express'."
    }


def test_where_nothing_goes_the_country_is_named():
    product("MUG")
    ShippingMethod.objects.update(countries=["NL"])

    assert refused(items(MUG=1), "standard", country="CH") == {
        "shipping_method": "Nothing is delivered to CH for an order in EUR."
    }


def test_a_way_of_delivery_that_was_withdrawn_is_not_there():
    product("MUG")
    ShippingMethod.objects.filter(code="express").update(is_active=False)

    assert list(refused(items(MUG=1), "express")) == ["shipping_method"]


def test_no_order_is_made_without_a_way_of_delivery():
    product("MUG")

    assert list(refused(items(MUG=1), "")) == ["shipping_method"]


# -- Tax --------------------------------------------------------------------------------------


def test_prices_contain_the_tax_of_the_country_they_go_to():
    product("MUG", 1210)
    rate("NL", 2100)

    quoted = quote(items(MUG=1), "standard", country="nl")

    assert (quoted.total, quoted.tax, quoted.tax_included) == (1700, 0, 210 + 85)  # 85.04 of the delivery
    assert quote(items(MUG=1), "standard", country="CH").tax_included == 0
    assert quote(items(MUG=1), "standard").tax_included == 0


def test_with_exclusive_prices_tax_comes_on_top(settings):
    settings.PRICES_INCLUDE_TAX = False
    product("MUG", 1000)
    rate("US", 700)

    quoted = quote(items(MUG=1), "standard", country="US")

    assert (quoted.tax, quoted.tax_included, quoted.total) == (70 + 34, 0, 1000 + 490 + 104)


def test_a_kind_of_goods_has_its_own_rate_and_falls_back_to_the_standard_one():
    product("BOOK", 1090, tax_class="books")
    product("MUG", 1210)
    rate("NL", 2100)
    rate("NL", 900, "books")
    rate("DE", 1900)

    dutch, german = (quote_goods(items(BOOK=1, MUG=1), country=country) for country in ("NL", "DE"))

    assert [(part.rate, part.amount) for part in dutch.taxes] == [(2100, 210), (900, 90)]
    assert [(part.rate, part.amount) for part in german.taxes] == [(1900, 174 + 193)]


def test_tax_is_taken_of_what_is_left_after_the_discount():
    product("MUG", 2420)
    rate("NL", 2100)
    Voucher.objects.create(code="HALF", kind="percent", value=50)

    quoted = quote_goods(items(MUG=1), country="NL", voucher="half")

    assert (quoted.discount, quoted.tax_included) == (1210, 210)


def test_a_quote_costs_two_queries_and_one_more_with_a_voucher(django_assert_num_queries):
    product("MUG")
    product("HAT")
    rate("NL", 2100)
    Voucher.objects.create(code="TEN", kind="percent", value=10)

    with django_assert_num_queries(2):
        quote(items(MUG=1, HAT=1), "standard", country="NL")
    with django_assert_num_queries(3):
        quote(items(MUG=1, HAT=1), "standard", country="NL", voucher="TEN")
