"""What the owner sets in the staff pages: taxes, delivery, vouchers, prices in other currencies, counts of stock."""

import re
import threading

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.urls import reverse

from accounts.models import User
from orders import inventory, vouchers
from orders.models import (
    Order,
    Product,
    ProductPrice,
    ShippingMethod,
    ShippingPrice,
    Stock,
    StockMovement,
    TaxRate,
    Voucher,
    VoucherUse,
)
from orders.pricing import Item, quote
from orders.sheets import MOST_BYTES

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sam():
    return User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(client, sam):
    client.force_login(sam)
    return client


@pytest.fixture
def colleague(client):
    """`colleague("view_stock")` is the browser of somebody who may do just that."""

    def log_in(*permissions):
        user = User.objects.create(email="kim@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def mug():
    made = Product.objects.create(sku="MUG", slug="mug", name="A mug", price=1290)
    inventory.set_on_hand(product=made, on_hand=10, note="test")
    return made


def rows(prefix, *typed, kept=0):
    """An inline's fields as a browser sends them."""
    management = {f"{prefix}-TOTAL_FORMS": len(typed), f"{prefix}-INITIAL_FORMS": kept}
    cells = {f"{prefix}-{n}-{name}": value for n, row in enumerate(typed) for name, value in row.items()}
    return {**management, **cells}


def errors(answer):
    """What the page says is wrong; it was not saved."""
    assert answer.status_code == 200
    forms = [answer.context["adminform"].form]
    forms += [form for formset in answer.context["inline_admin_formsets"] for form in formset.formset.forms]
    found = {name: " ".join(words) for form in forms for name, words in form.errors.items()}
    for formset in answer.context["inline_admin_formsets"]:
        if formset.formset.non_form_errors():
            found["rows"] = " ".join(formset.formset.non_form_errors())
    return found


# -- Prices in other currencies ---------------------------------------------------------------


def save_product(staff, mug, *prices, kept=0, **facts):
    typed = {"name": "A mug", "description": "", "amount": "12.90", "tax_class": "standard", "is_active": "on", **facts}
    url = reverse("admin:orders_product_change", args=[mug.pk])
    return staff.post(url, {**typed, **rows("prices", *prices, kept=kept)})


def test_a_product_gets_prices_in_other_currencies_each_with_its_own_decimals(staff, mug):
    save_product(staff, mug, {"currency": "usd", "amount": "13.50"}, {"currency": "JPY", "amount": "2100"})

    assert sorted(ProductPrice.objects.values_list("currency", "price")) == [("JPY", 2100), ("USD", 1350)]
    page = staff.get(reverse("admin:orders_product_change", args=[mug.pk])).content.decode()
    assert re.findall(r'name="prices-\d-amount" value="([^"]+)"', page) == ["13.50", "2100"]


def test_a_price_is_changed_and_taken_away(staff, mug):
    kept = ProductPrice.objects.create(product=mug, currency="USD", price=1350)
    gone = ProductPrice.objects.create(product=mug, currency="JPY", price=2100)

    save_product(
        staff,
        mug,
        {"id": kept.pk, "currency": "USD", "amount": "14"},
        {"id": gone.pk, "currency": "JPY", "amount": "2100", "DELETE": "on"},
        kept=2,
    )

    assert list(ProductPrice.objects.values_list("currency", "price")) == [("USD", 1400)]


@pytest.mark.parametrize(
    ("price", "wrong"),
    [
        ({"currency": "JPY", "amount": "21.50"}, {"amount": "An amount in JPY has no decimal places."}),
        ({"currency": "USD", "amount": "1.005"}, {"amount": "An amount in USD has 2 decimal places."}),
        ({"currency": "USD", "amount": "1000000"}, {"amount": "At most 999999.99."}),
        ({"currency": "XYZ", "amount": "1"}, {"currency": "XYZ is no currency: three letters of ISO 4217, like EUR."}),
        ({"currency": "USD", "amount": "0"}, {"amount": "Ensure this value is greater than or equal to 0.001."}),
        ({"currency": "USD", "amount": "NaN"}, {"amount": "Enter a number."}),
    ],
)  # fmt: skip
def test_a_price_that_is_none_is_refused_with_its_reason(staff, mug, price, wrong):
    assert errors(save_product(staff, mug, price)) == wrong
    assert not ProductPrice.objects.exists()


def test_two_prices_in_one_currency_are_refused(staff, mug):
    answer = save_product(staff, mug, {"currency": "USD", "amount": "1"}, {"currency": "usd", "amount": "2"})

    assert "duplicate" in str(errors(answer))
    assert not ProductPrice.objects.exists()


def test_a_products_own_price_has_the_decimals_of_its_currency(staff, mug):
    Product.objects.update(currency="JPY", price=2100)

    assert errors(save_product(staff, mug, amount="21.50")) == {"amount": "An amount in JPY has no decimal places."}
    save_product(staff, mug, amount="2150", tax_class="books")

    assert Product.objects.values_list("price", "tax_class").get() == (2150, "books")


# -- Taxes ------------------------------------------------------------------------------------

TAX = "/admin/orders/taxrate/"


def test_a_tax_rate_is_typed_in_per_cent(staff):
    staff.post(f"{TAX}add/", {"country": "NL", "tax_class": " Standard ", "percent": "21"})
    staff.post(f"{TAX}add/", {"country": "CH", "tax_class": "standard", "percent": "8.1"})

    assert sorted(TaxRate.objects.values_list("country", "tax_class", "rate")) == [
        ("CH", "standard", 810),
        ("NL", "standard", 2100),
    ]
    assert re.findall(r">([\d.]+ %)<", staff.get(TAX).content.decode()) == ["8.1 %", "21 %"]


@pytest.mark.parametrize("percent", ["-1", "100.01", "8.125", "much", ""])
def test_a_tax_rate_that_is_none_is_refused(staff, percent):
    answer = staff.post(f"{TAX}add/", {"country": "NL", "tax_class": "standard", "percent": percent})

    assert list(errors(answer)) == ["percent"]
    assert not TaxRate.objects.exists()


def test_a_country_has_one_rate_for_a_kind_of_goods(staff):
    for _ in range(2):
        answer = staff.post(f"{TAX}add/", {"country": "NL", "tax_class": "standard", "percent": "21"})

    assert errors(answer)
    assert TaxRate.objects.count() == 1


# -- Delivery ---------------------------------------------------------------------------------

WAYS = "/admin/orders/shippingmethod/"


def test_a_way_of_delivery_is_added_with_its_countries_and_prices(staff, mug):
    prices = rows("prices", {"currency": "EUR", "amount": "2.50", "free_from_amount": "20"})

    staff.post(
        f"{WAYS}add/",
        {"code": "bike", "name": "By bike", "only_to": "nl, be", "position": "3", "is_active": "on", **prices},
    )

    assert ShippingMethod.objects.get(code="bike").countries == ["BE", "NL"]
    assert quote([Item(sku="MUG", quantity=1)], "bike", country="NL").shipping == 250
    assert quote([Item(sku="MUG", quantity=2)], "bike", country="NL").shipping == 0


def test_the_countries_of_a_way_of_delivery_exist(staff):
    answer = staff.post(
        f"{WAYS}add/", {"code": "bike", "name": "By bike", "only_to": "NL QQ EU", "position": "0", **rows("prices")}
    )

    assert errors(answer)["only_to"] == "No country has the letters QQ, EU."


def test_the_code_that_orders_and_programs_know_stays(staff):
    standard = ShippingMethod.objects.get(code="standard")
    price = standard.prices.get()
    typed = {"id": price.pk, "currency": "EUR", "amount": "5", "free_from_amount": ""}

    staff.post(
        f"{WAYS}{standard.pk}/change/",
        {"code": "other", "name": "Slow", "position": "0", **rows("prices", typed, kept=1)},
    )

    standard.refresh_from_db()
    price.refresh_from_db()
    assert (standard.code, standard.name, standard.is_active) == ("standard", "Slow", False)
    assert (price.price, price.free_from) == (500, None)


def test_the_list_of_ways_costs_as_many_questions_for_many(staff, django_assert_max_num_queries):
    for number in range(8):
        method = ShippingMethod.objects.create(code=f"w{number}", name=f"W{number}")
        ShippingPrice.objects.create(method=method, currency="EUR", price=100)

    with django_assert_max_num_queries(9):
        assert "€1.00" in staff.get(WAYS).content.decode()


# -- Vouchers ---------------------------------------------------------------------------------

VOUCHERS = "/admin/orders/voucher/"


def typed_voucher(**facts):
    return {
        **dict.fromkeys(("currency", "least", "most", "most_each"), ""),
        **dict.fromkeys(("starts_at_0", "starts_at_1", "ends_at_0", "ends_at_1"), ""),
        "code": " spring-10 ",
        "kind": "percent",
        "worth": "10",
        "is_active": "on",
        **facts,
    }


def test_a_voucher_is_added_in_capitals(staff):
    staff.post(f"{VOUCHERS}add/", typed_voucher(most="100", most_each="1", first_order_only="on"))

    made = Voucher.objects.get()
    assert (made.code, made.kind, made.value, made.most, made.most_each) == ("SPRING-10", "percent", 10, 100, 1)
    assert made.first_order_only


def test_an_amount_is_typed_as_money(staff):
    staff.post(f"{VOUCHERS}add/", typed_voucher(kind="amount", worth="4.90", currency="eur", least="30"))

    assert Voucher.objects.values_list("value", "currency", "minimum").get() == (490, "EUR", 3000)
    page = staff.get(f"{VOUCHERS}{Voucher.objects.get().pk}/change/").content.decode()
    assert re.findall(r'name="(?:worth|least)" value="([^"]+)"', page) == ["4.90", "30.00"]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"worth": "0"}, "worth"),
        ({"worth": "101"}, "worth"),
        ({"worth": "2.5"}, "worth"),
        ({"kind": "amount", "worth": "5"}, "currency"),
        ({"kind": "amount", "worth": "5.555", "currency": "EUR"}, "worth"),
        ({"kind": "amount", "worth": "0", "currency": "EUR"}, "worth"),
        ({"code": "a b"}, "code"),
        ({"code": "ab"}, "code"),
        ({"currency": "XYZ"}, "currency"),
        ({"most": "-1"}, "most"),
    ],
)
def test_a_voucher_that_cannot_be_is_refused_beside_its_field(staff, facts, field):
    assert list(errors(staff.post(f"{VOUCHERS}add/", typed_voucher(**facts)))) == [field]
    assert not Voucher.objects.exists()


def test_a_second_voucher_of_the_same_code_is_refused(staff):
    Voucher.objects.create(code="SPRING-10", kind="percent", value=5)

    assert list(errors(staff.post(f"{VOUCHERS}add/", typed_voucher()))) == ["code"]


def an_order(email="ada@example.com"):
    return Order.objects.create(
        email=email, currency="EUR", subtotal=1290, shipping=0, total=1290, shipping_method="standard",
        shipping_address={}, correlation_id="c", voucher_code="TEN",
    )  # fmt: skip


def used_voucher(mug):
    voucher = Voucher.objects.create(code="TEN", kind="percent", value=10, uses=1)
    order = an_order()
    VoucherUse.objects.create(voucher=voucher, order=order, customer="ada@example.com", nth=1)
    return voucher, order


def test_what_orders_were_sold_with_is_not_changed_but_the_voucher_can_be_ended(staff, mug):
    voucher, order = used_voucher(mug)

    page = staff.get(f"{VOUCHERS}{voucher.pk}/change/").content.decode()
    staff.post(
        f"{VOUCHERS}{voucher.pk}/change/",
        typed_voucher(code="OTHER", worth="50", currency="USD", most="1", is_active=""),
    )

    assert order.number in page
    voucher.refresh_from_db()
    assert (voucher.code, voucher.value, voucher.currency) == ("TEN", 10, "")
    assert (voucher.most, voucher.is_active) == (1, False)


def test_a_voucher_that_was_used_cannot_be_deleted(staff, mug):
    voucher, _ = used_voucher(mug)

    assert staff.post(f"{VOUCHERS}{voucher.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Voucher.objects.exists()


def test_a_limit_below_what_was_used_is_refused(staff, mug):
    voucher, _ = used_voucher(mug)
    Voucher.objects.update(uses=5)

    answer = staff.post(f"{VOUCHERS}{voucher.pk}/change/", typed_voucher(most="4"))

    assert errors(answer)
    voucher.refresh_from_db()
    assert voucher.most is None


def test_saving_a_voucher_forgets_no_use_of_that_moment(staff):
    voucher = Voucher.objects.create(code="TEN", kind="percent", value=10)
    orders = [an_order(f"c{n}@example.com") for n in range(40)]

    def use_it():
        for order in orders:
            with transaction.atomic():
                vouchers.take(order=order, voucher=voucher)
        connection.close()

    buyers = threading.Thread(target=use_it)
    buyers.start()
    while buyers.is_alive():
        assert staff.post(f"{VOUCHERS}{voucher.pk}/change/", typed_voucher(most="1000")).status_code == 302
    buyers.join()

    voucher.refresh_from_db()
    assert (voucher.uses, voucher.most) == (40, 1000)


@pytest.mark.parametrize("path", [TAX, WAYS, VOUCHERS])
def test_only_who_may_sees_and_changes_the_terms(colleague, path):
    browser = colleague("view_order")

    assert browser.get(path).status_code == 403
    assert browser.get(f"{path}add/").status_code == 403


# -- One product counted by hand --------------------------------------------------------------


def count(browser, mug, **typed):
    url = reverse("admin:orders_stock_count", args=[mug.stock.pk])
    answer = browser.post(url, {"key": "k1", "on_hand": "7", "reason": "three broken", **typed}, follow=True)
    return answer, " ".join(str(message) for message in answer.context["messages"]) if answer.context else ""


def test_staff_set_a_count_with_a_reason_that_is_kept_with_their_name(staff, sam, mug):
    _, said = count(staff, mug)

    assert said == "7 on hand now."
    moved = StockMovement.objects.latest("pk")
    assert (moved.quantity, moved.reason, moved.note, moved.actor) == (
        -3,
        "correction",
        "three broken",
        f"user:{sam.pk}",
    )


def test_the_same_press_counts_once(staff, mug):
    count(staff, mug)
    inventory.set_on_hand(product=mug, on_hand=5, note="sold meanwhile")

    _, said = count(staff, mug)

    assert (said, Stock.objects.get().on_hand) == ("5 on hand now.", 5)
    assert "another count" in count(staff, mug, on_hand="8")[1]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"reason": "  "}, "give a reason first"),
        ({"on_hand": "1.5"}, "is no whole number"),
        ({"on_hand": "-1"}, "is no whole number"),
        ({"on_hand": "٣"}, "is no whole number"),
        ({"on_hand": ""}, "is no whole number"),
        ({"on_hand": "99999999999"}, "Must be 0 to 10000000"),
        ({"on_hand": "1"}, "2 are promised"),
    ],
)
def test_a_count_that_cannot_be_is_refused_with_its_reason(staff, mug, typed, said):
    Stock.objects.update(reserved=2)

    assert said in count(staff, mug, **typed)[1]
    assert Stock.objects.get().on_hand == 10


def test_who_may_only_look_sees_no_form_and_sets_no_count(colleague, mug):
    browser = colleague("view_stock")

    assert "Set the count" not in browser.get(f"/admin/orders/stock/{mug.stock.pk}/change/").content.decode()
    assert count(browser, mug)[0].status_code == 403
    assert Stock.objects.get().on_hand == 10


def test_a_count_is_not_set_by_looking(staff, mug):
    assert staff.get(reverse("admin:orders_stock_count", args=[mug.stock.pk])).status_code == 405


# -- Many from a list -------------------------------------------------------------------------

IMPORT = "/admin/orders/stock/import/"


def upload(browser, data):
    return browser.post(IMPORT, {"list": SimpleUploadedFile("stock.csv", data, "text/csv")})


def shown(answer):
    """The hidden fields of the page's own form: what pressing its button sends."""
    page = answer.content.decode()
    return {name: re.search(rf'name="{name}" value="([^"]*)"', page)[1] for name in ("key", "content")} | {"apply": "1"}


def test_a_list_is_shown_first_and_done_at_the_press_of_the_button(staff, sam, mug):
    looked = upload(staff, "sku;on_hand;note\nMUG;7;gezählt\n".encode("utf-8-sig"))

    assert "This would change 1 of 1 product" in looked.content.decode()
    assert Stock.objects.get().on_hand == 10
    done = staff.post(IMPORT, shown(looked), follow=True)

    assert [str(message) for message in done.context["messages"]] == ["1 products changed. The list has 1 lines."]
    moved = StockMovement.objects.latest("pk")
    assert (moved.quantity, moved.reason, moved.note, moved.actor) == (-3, "import", "gezählt", f"user:{sam.pk}")


def test_the_button_pressed_twice_does_it_once(staff, mug):
    form = shown(upload(staff, b"sku,change\nMUG,+5\n"))

    staff.post(IMPORT, form)
    again = staff.post(IMPORT, form, follow=True)

    assert "It was done before." in str([str(message) for message in again.context["messages"]])
    assert Stock.objects.get().on_hand == 15


def test_every_bad_line_is_shown_and_there_is_no_button(staff, mug):
    page = upload(staff, b"sku,on_hand\nMUG,1.5\n<b>,1\n").content.decode()

    assert "Nothing was changed: 2 faults" in page
    assert "Must be a whole number, not &#x27;1.5&#x27;." in page
    assert "<b>" not in page
    assert 'name="apply"' not in page


def test_a_list_that_went_bad_between_look_and_press_changes_nothing(staff, mug):
    form = shown(upload(staff, b"sku,on_hand\nMUG,1\n"))
    Stock.objects.update(reserved=2)

    page = staff.post(IMPORT, form).content.decode()

    assert "2 are promised to orders in payment." in page
    assert Stock.objects.get().on_hand == 10


@pytest.mark.parametrize("sent", [{}, {"content": "%%%"}, {"content": "", "apply": "1"}])
def test_nothing_chosen_is_said(staff, mug, sent):
    page = staff.post(IMPORT, sent).content.decode()

    assert "Choose a file first." in page or "Is empty" in page


def test_a_list_that_is_too_large_is_refused(staff, mug):
    assert f"Is larger than {MOST_BYTES} bytes." in upload(staff, b"x" * (MOST_BYTES + 1)).content.decode()


def test_the_largest_list_survives_its_own_button(staff, mug):
    line = b"MUG,7," + b"x" * 190 + b"\n"
    data = b"sku,on_hand,note\n" + line + b"\n" * (MOST_BYTES - 17 - len(line))

    answer = staff.post(IMPORT, shown(upload(staff, data)))

    assert (answer.status_code, Stock.objects.get().on_hand) == (302, 7)


def test_who_may_only_look_imports_nothing(colleague, mug):
    browser = colleague("view_stock")

    assert "Import counts" not in browser.get("/admin/orders/stock/").content.decode()
    assert browser.get(IMPORT).status_code == 403
    assert upload(browser, b"sku,on_hand\nMUG,1\n").status_code == 403


def test_the_list_of_stock_leads_to_the_import(staff, mug):
    page = staff.get("/admin/orders/stock/").content.decode()

    assert IMPORT in page
    assert staff.get(IMPORT).status_code == 200
