"""Staff's buttons that move money and goods: what they say beforehand, what they do, and that they do it once."""

import html
import re
import uuid

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command

from accounts.models import User
from notifications import context
from orders import fulfilment, inventory, refunds
from orders.checkout import Buyer, Item, place_order
from orders.gateways.base import GatewaySilent, Outcome, RefundOutcome, RefundStatus, Status
from orders.models import Difference, GatewayEvent, Order, OrderEdit, Product, Refund, Shipment
from orders.repayment import refundable

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS = "/admin/orders/order/"
ADDRESS = {"name": "Ada", "line1": "Quay 1", "postal_code": "1011", "city": "Hoorn", "country": "NL"}


@pytest.fixture(autouse=True)
def fresh_health(monkeypatch):
    context.forget_health()
    monkeypatch.setattr(context, "REMEMBERED", 60.0)


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    """`bank.charges = Status.X`, `bank.refunds = RefundStatus.X`: what it says; `bank.asked`: what it was asked."""

    class Bank:
        charges, refunds = Status.SUCCEEDED, RefundStatus.DONE

    said = Bank()
    said.asked = []

    def charge(ask, **_):
        said.asked.append(("charge", ask.amount))
        money = said.charges in (Status.SUCCEEDED, Status.AUTHORIZED)
        amount, currency = (ask.amount, ask.currency) if money else (None, None)
        return Outcome(status=said.charges, gateway_id=f"pi_{ask.reference}", amount=amount, currency=currency)

    def refund(ask):
        said.asked.append(("refund", ask.amount))
        return RefundOutcome(
            status=said.refunds, gateway_id=f"re_{ask.id}", amount=ask.amount, currency=ask.currency, code="closed"
        )

    for verb in ("charge", "find", "capture"):
        monkeypatch.setattr(f"orders.gateways.stripe.{verb}", charge)
    monkeypatch.setattr("orders.gateways.stripe.refund", refund)
    return said


def product(sku="MUG", price=1200):
    made = Product.objects.create(sku=sku, slug=sku.lower(), name=f"A {sku.lower()}", price=price)
    inventory.set_on_hand(product=made, on_hand=10, note="test")
    return made


@pytest.fixture
def order(bank):
    """A paid order of two mugs: 24.00 and 4.90 for the delivery."""
    product()
    made = place_order(
        items=[Item(sku="MUG", quantity=2)],
        buyer=Buyer(email="ada@example.com", shipping_address=ADDRESS),
        payment_method="pm_card_visa",
    )
    bank.asked.clear()
    return made


@pytest.fixture
def staff(client):
    client.force_login(User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def colleague(client):
    def log_in(*permissions):
        user = User.objects.create(email="kim@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


def page(order):
    return f"{ORDERS}{order.pk}/change/"


def form_of(browser, path):
    """The fields of the page as rendered, to be sent back with some of them changed."""
    text = browser.get(path).content.decode()
    form = re.search(r'<form class="wb-action".*?</form>', text, re.DOTALL)[0]
    found = {}
    for tag in re.findall(r"<input[^>]+>", form):
        facts = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        kind = facts.get("type")
        if kind in ("checkbox", "radio") and " checked" not in tag:
            continue
        found[facts["name"]] = facts.get("value", "on" if kind == "checkbox" else "")
    return found


def press(browser, order, name, **other):
    path = f"{ORDERS}{order.pk}/{name}/"
    form = form_of(browser, path) | {"reason": "asked by phone"} | other
    return browser.post(path, form, follow=True), form


def units(order, sku="MUG"):
    return f"units_{order.lines.get(sku=sku).pk}"


def words(answer):
    text = re.sub(r"<(style|script).*?</\1>", "", answer.content.decode(), flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


# -- Refund -----------------------------------------------------------------------------------


def test_the_page_says_what_is_left_before_anything_is_given_back(staff, order):
    text = words(staff.get(f"{ORDERS}{order.pk}/refund/"))
    assert "€28.90 was taken, €0.00 was given back. €28.90 is left." in text
    assert "Not sent yet: 2 × A mug." in text


def test_an_amount_is_given_back_with_its_reason(staff, order, bank):
    answer, _ = press(staff, order, "refund", what="amount", amount="3.05")
    made = Refund.objects.get()
    assert (made.amount, made.state, made.reason) == (305, "done", "asked by phone")
    assert made.actor.startswith("user:")
    assert "€3.05 given back." in words(answer)


def test_units_are_given_back_and_put_on_the_shelf(staff, order):
    press(staff, order, "refund", what="lines", restock="on", **{units(order): "1"})
    assert Refund.objects.get().amount == 1200
    assert Product.objects.get().stock.on_hand == 9
    assert order.lines.get().cancelled == 1


def test_everything_given_back_ends_the_order(staff, order):
    press(staff, order, "refund", what="all", restock="on")
    assert Order.objects.get().status == "refunded"
    assert Product.objects.get().stock.on_hand == 10


def test_a_double_click_is_one_refund(staff, order, bank):
    _, form = press(staff, order, "refund", what="amount", amount="3")
    staff.post(f"{ORDERS}{order.pk}/refund/", form)
    assert Refund.objects.count() == 1
    assert bank.asked == [("refund", 300)]


def test_the_same_page_sent_with_another_amount_is_refused_and_can_be_sent_anew(staff, order):
    _, form = press(staff, order, "refund", what="amount", amount="3")
    answer = staff.post(f"{ORDERS}{order.pk}/refund/", form | {"amount": "4"})
    assert answer.status_code == 422
    assert "This page was sent before with other words in it." in words(answer)
    key = re.search(r'name="key" value="([^"]+)"', answer.content.decode())[1]
    assert key != form["key"]
    assert re.search(r'name="amount"[^>]* value="4"', answer.content.decode())
    staff.post(f"{ORDERS}{order.pk}/refund/", form | {"amount": "4", "key": key})
    assert sorted(Refund.objects.values_list("amount", flat=True)) == [300, 400]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"what": "amount", "amount": "28.91"}, "Only €28.90 is left to give back."),
        ({"what": "amount", "amount": "1.005"}, "An amount in EUR has 2 decimal places."),
        ({"what": "amount", "amount": ""}, "Type the amount."),
        ({"what": "amount", "amount": "-1"}, "greater than or equal"),
        ({"what": "amount", "amount": "1", "restock": "on"}, "An amount says nothing of units"),
        ({"what": "lines"}, "Choose how many of which line."),
        ({"what": "all", "reason": ""}, "This field is required."),
        ({"what": "lines", "units": "3"}, "Only 2 possible."),
    ],
)
def test_what_cannot_be_given_back_is_said_beside_the_form_and_nothing_typed_is_lost(staff, order, bank, sent, said):
    if "units" in sent:
        sent = {**sent, units(order): sent["units"]}
        del sent["units"]
    answer, form = press(staff, order, "refund", **sent)
    assert answer.status_code == 422
    assert said in words(answer)
    assert bank.asked == []
    if form["reason"]:
        assert 'value="asked by phone"' in answer.content.decode()


def test_a_refund_that_failed_needs_attention_and_is_given_again_by_its_button(staff, order, bank):
    bank.refunds = RefundStatus.FAILED
    answer, _ = press(staff, order, "refund", what="amount", amount="3")
    assert "€3.00 not given back: the bank refused (closed). The money is still ours." in words(answer)
    assert "The bank did not give back €3.00." in words(staff.get(page(order)))
    assert order.number in words(staff.get(ORDERS, {"show": "attention"}))

    bank.refunds = RefundStatus.DONE
    again = {"key": str(uuid.uuid4())}
    path = f"{ORDERS}{order.pk}/refund/{Refund.objects.get().pk}/again/"
    assert "€3.00 given back." in words(staff.post(path, again, follow=True))
    staff.post(path, again)
    assert sorted(Refund.objects.values_list("state", flat=True)) == ["done", "failed"]
    assert "did not give back" not in words(staff.get(page(order)))


@pytest.fixture
def refused(staff, order, bank):
    """One of the two mugs was taken out and put on the shelf; the bank did not give its money back, and would now."""
    bank.refunds = RefundStatus.FAILED
    press(staff, order, "refund", what="lines", restock="on", **{units(order): "1"})
    bank.refunds = RefundStatus.DONE
    return Refund.objects.get()


def again(browser, lost):
    path = f"{ORDERS}{lost.order_id}/refund/{lost.pk}/again/"
    return words(browser.post(path, {"key": str(uuid.uuid4())}, follow=True))


def test_giving_units_back_again_takes_no_further_units_out(staff, order, refused):
    assert "€12.00 given back." in again(staff, refused)

    line = order.lines.get()
    assert (line.cancelled, line.refunded, line.shippable, Product.objects.get().stock.on_hand) == (1, 1, 1, 9)
    press(staff, order, "ship")
    assert (Order.objects.get().status, order.lines.get().shipped) == ("shipped", 1)


def test_units_whose_refund_failed_are_given_back_by_the_form_without_taking_more_out(staff, order, refused):
    press(staff, order, "refund", what="lines", **{units(order): "1"})

    line = order.lines.get()
    assert (line.cancelled, line.refunded, line.shippable) == (1, 1, 1)


def test_what_was_made_good_meanwhile_is_not_given_back_again(staff, order, refused, bank):
    again(staff, refused)

    assert "Nothing was done: the order has changed since." in again(staff, refused)
    assert (Refund.objects.count(), bank.asked[1:]) == (2, [("refund", 1200)])


def test_two_failed_refunds_of_one_price_are_each_made_good_for_their_own_lines(staff, bank):
    product(), product("CAP")
    order = place_order(
        items=[Item(sku="MUG", quantity=1), Item(sku="CAP", quantity=1)],
        buyer=Buyer(email="ada@example.com", shipping_address=ADDRESS),
        payment_method="pm_card_visa",
    )
    bank.refunds = RefundStatus.FAILED
    for sku in ("MUG", "CAP"):
        press(staff, order, "refund", what="lines", **{units(order, sku): "1"})
    bank.refunds = RefundStatus.DONE

    for lost in Refund.objects.order_by("created_at"):
        assert "€12.00 given back." in again(staff, lost)

    assert not Refund.objects.lost().exists()
    assert sorted(order.lines.values_list("sku", "refunded")) == [("CAP", 1), ("MUG", 1)]


def test_a_refund_that_nobody_knows_of_is_said_to_be_followed_up(staff, order, bank):
    bank.refunds = RefundStatus.UNKNOWN
    answer, _ = press(staff, order, "refund", what="amount", amount="3")
    assert "€3.00 is on its way: the bank has not said that it is done." in words(answer)
    assert "The bank has not said whether it gave back €3.00." in words(staff.get(page(order)))


# -- Cancel, ship, take back --------------------------------------------------------------------


def test_cancelling_shows_first_what_goes_back(staff, order):
    text = words(staff.get(f"{ORDERS}{order.pk}/cancel/"))
    assert "2 × A mug goes back on the shelf." in text
    assert "€28.90 goes back to the buyer." in text
    answer, _ = press(staff, order, "cancel")
    assert "The order is cancelled. €28.90 given back." in words(answer)
    assert (Order.objects.get().status, Product.objects.get().stock.on_hand) == ("cancelled", 10)


def test_a_part_is_shipped_and_then_the_rest(staff, order):
    press(staff, order, "ship", carrier="PostNL", tracking="3SABC", **{units(order): "1"})
    assert Order.objects.get().status == "partly_shipped"
    answer, _ = press(staff, order, "ship", carrier="PostNL", tracking="3SDEF")
    assert Order.objects.get().status == "shipped"
    assert list(Shipment.objects.order_by("pk").values_list("tracking", "lines__quantity")) == [
        ("3SABC", 1),
        ("3SDEF", 1),
    ]
    assert "PostNL 3SDEF" in words(answer)


def test_a_double_click_is_one_parcel(staff, order):
    _, form = press(staff, order, "ship", **{units(order): "1"})
    staff.post(f"{ORDERS}{order.pk}/ship/", form)
    assert Shipment.objects.count() == 1


def test_an_empty_parcel_is_refused(staff, order):
    answer, _ = press(staff, order, "ship", **{units(order): "0"})
    assert "Nothing is in this parcel" in words(answer)
    assert Shipment.objects.count() == 0


def test_what_came_back_is_put_on_the_shelf_and_paid_back(staff, order):
    press(staff, order, "ship")
    answer, _ = press(staff, order, "return", **{units(order): "1"})
    assert "The goods are counted. €12.00 given back." in words(answer)
    assert (Product.objects.get().stock.on_hand, order.lines.get().returned) == (9, 1)


def test_what_came_back_broken_stays_off_the_shelf_and_may_cost_nothing(staff, order):
    press(staff, order, "ship")
    form = form_of(staff, f"{ORDERS}{order.pk}/return/") | {"reason": "broken", units(order): "1"}
    del form["restock"], form["refund"]
    staff.post(f"{ORDERS}{order.pk}/return/", form)
    assert (Product.objects.get().stock.on_hand, order.lines.get().returned, Refund.objects.count()) == (8, 1, 0)


def test_somebody_elses_press_in_between_is_said_and_not_run_over(staff, order):
    form = form_of(staff, f"{ORDERS}{order.pk}/cancel/") | {"reason": "late"}
    press(staff, order, "ship")
    answer = staff.post(f"{ORDERS}{order.pk}/cancel/", form)
    assert answer.status_code == 422
    assert f"Nothing was done: {order.number} cannot go from shipped to cancelled." in words(answer)


# -- Edit -------------------------------------------------------------------------------------


def edit(browser, order, **other):
    """Look what it costs, then do it: the answer of the second press."""
    shown, form = press(browser, order, "edit", **other)
    expected = re.search(r'name="expected" value="(\d+)"', shown.content.decode())
    assert expected, words(shown)
    path = f"{ORDERS}{order.pk}/edit/"
    return shown, browser.post(path, form | {"expected": expected[1]}, follow=True)


def test_a_dearer_order_shows_its_price_and_charges_the_difference(staff, order, bank):
    product("CAP", 700)
    shown, done = edit(staff, order, more="CAP", more_quantity="2")
    assert "It then costs €42.90 in place of €28.90: €14.00 is charged to the buyer's card." in words(shown)
    assert "The order is changed. €14.00 was charged." in words(done)
    assert Order.objects.get().total == 4290
    assert bank.asked == [("charge", 1400)]


def test_looking_what_it_costs_changes_nothing(staff, order, bank):
    press(staff, order, "edit", **{units(order): "1"})
    assert (OrderEdit.objects.count(), bank.asked) == (0, [])


def test_a_cheaper_order_gives_the_difference_back(staff, order, bank):
    _, done = edit(staff, order, **{units(order): "1"})
    assert "The order is changed. €12.00 goes back to the buyer." in words(done)
    assert bank.asked == [("refund", 1200)]


def test_a_declined_difference_is_said_and_can_be_tried_again(staff, order, bank):
    bank.charges = Status.DECLINED
    _, done = edit(staff, order, **{units(order): "3"})
    assert done.status_code == 422
    assert f"Nothing was charged, and {order.number} stays as it was." in words(done)
    bank.charges = Status.SUCCEEDED
    _, done = edit(staff, order, **{units(order): "3"})
    assert "€12.00 was charged." in words(done)


def test_a_price_that_changed_meanwhile_is_shown_again_before_it_is_charged(staff, order, bank):
    cap = product("CAP", 700)
    _, form = press(staff, order, "edit", more="CAP", more_quantity="1")
    Product.objects.filter(pk=cap.pk).update(price=900)
    answer = staff.post(f"{ORDERS}{order.pk}/edit/", form | {"expected": "3590"})
    assert "€9.00 is charged" in words(answer)
    assert bank.asked == []


def test_more_than_is_on_the_shelf_is_refused_by_name(staff, order):
    _, done = edit(staff, order, **{units(order): "20"})
    assert "MUG: 18 more wanted, 8 on the shelf." in words(done)


# -- Who may ----------------------------------------------------------------------------------


def offered(browser, order):
    """The buttons on the order's page."""
    return re.findall(
        rf'class="wb-button[^>]+href="{ORDERS}{order.pk}/(\w+)/"', browser.get(page(order)).content.decode()
    )


@pytest.mark.parametrize("name", ["refund", "ship", "cancel", "return", "edit"])
def test_every_button_has_a_permission_of_its_own(colleague, order, name):
    browser = colleague("view_order", f"{name}_order")
    if name == "return":
        fulfilment.ship(order=order)
    assert offered(browser, order) == [name]
    assert browser.get(f"{ORDERS}{order.pk}/{name}/").status_code == 200
    for other in {"refund", "ship", "cancel", "return", "edit"} - {name}:
        assert browser.get(f"{ORDERS}{order.pk}/{other}/").status_code == 403
        assert browser.post(f"{ORDERS}{order.pk}/{other}/", {"reason": "x"}).status_code == 403


def test_an_order_that_is_over_offers_no_button(staff, order):
    press(staff, order, "cancel")
    assert offered(staff, order) == []
    assert "there is nothing to do here" in words(staff.get(f"{ORDERS}{order.pk}/ship/"))


def test_the_tab_refund_due_finds_whom_money_is_owed(staff, order, bank):
    bank.refunds = RefundStatus.UNKNOWN
    press(staff, order, "refund", what="all")
    assert Order.objects.get().status == "refund_due"
    assert order.number in words(staff.get(ORDERS, {"show": "refund"}))
    assert order.number not in words(staff.get(ORDERS, {"show": "ship"}))


# -- Differences ------------------------------------------------------------------------------

FAILURES = "/admin/notifications/failure/"


@pytest.fixture
def lost(order):
    """Our books say that a refund is done; the bank's do not."""
    made = refunds.refund(order=order, amount=300)[0]
    return Difference.objects.create(
        kind="missing_refund", reference=str(made.pk), order=order, amount=300, currency="EUR", detail="Not there."
    )


def test_an_open_difference_stands_on_the_page_failures_and_is_repaired_there(staff, order, lost):
    text = staff.get(FAILURES).content.decode()
    assert "Given back here, not by the bank: " + order.number in text
    action = re.search(r'action="(/admin/orders/difference/\d+/repair/)"', text)[1]
    answer = staff.post(action, {"next": FAILURES}, follow=True)
    assert answer.redirect_chain[-1][0] == FAILURES
    assert "Repaired: the refund counts as failed; give it again." in words(answer)
    assert "Given back here" not in words(answer)
    assert refundable(order) == order.total
    assert Difference.objects.get().resolved_by.startswith("user:")


def test_pressed_again_after_it_was_closed_nothing_is_done(staff, lost):
    path = f"/admin/orders/difference/{lost.pk}/repair/"
    staff.post(path)
    assert "It was closed before; nothing was done now." in words(staff.post(path, follow=True))


def test_the_failures_page_shows_money_only_to_whom_may_see_it(colleague, lost):
    assert "Given back here" not in words(colleague("view_failure").get(FAILURES))


def test_who_may_look_but_not_decide_has_no_buttons(colleague, lost):
    browser = colleague("view_failure", "view_difference")
    text = browser.get(FAILURES).content.decode()
    assert "Given back here" in text
    assert "/repair/" not in text
    for name in ("repair", "dismiss"):
        assert browser.post(f"/admin/orders/difference/{lost.pk}/{name}/", {"reason": "x"}).status_code == 403
    assert browser.post("/admin/orders/difference/compare/").status_code == 403


def test_a_difference_is_dismissed_with_a_reason_only(staff, lost):
    path = f"/admin/orders/difference/{lost.pk}/"
    assert "marks our refund as failed" in words(staff.get(f"{path}change/"))
    staff.post(f"{path}dismiss/", {"reason": " "})
    assert Difference.objects.open().exists()
    answer = staff.post(f"{path}dismiss/", {"reason": "the bank was down"}, follow=True)
    assert "dismissed: the bank was down" in words(answer)
    assert not Difference.objects.open().exists()


def test_what_cannot_be_repaired_stays_open_and_says_what_to_do(staff, order, bank):
    bank.charges = Status.UNKNOWN
    found = Difference.objects.create(
        kind="missing_charge", reference=str(order.last_attempt.pk), order=order, detail="Not there."
    )
    answer = staff.post(f"/admin/orders/difference/{found.pk}/repair/", follow=True)
    assert "Not repaired. The gateway says unknown: no money came. Do not ship" in words(answer)
    assert Difference.objects.open().exists()


def test_a_difference_is_repaired_from_the_order_too(staff, order, lost):
    assert "The bank's books and ours differ: given back here, not by the bank." in words(
        staff.get(page(order))
    ).replace("&#x27;", "'")
    answer = staff.post(f"/admin/orders/difference/{lost.pk}/repair/", {"next": page(order)})
    assert answer["Location"] == page(order)


def test_the_books_are_compared_at_once_by_the_button(staff, order, monkeypatch):
    monkeypatch.setattr("orders.gateways.stripe.charges_since", lambda since: [])
    monkeypatch.setattr("orders.gateways.stripe.refunds_since", lambda since: [])
    answer = staff.post("/admin/orders/difference/compare/", follow=True)
    assert "Compared the last 48 hours. The bank's books and ours agree." in words(answer)


def silent(since):
    raise GatewaySilent("no answer")


def test_a_silent_bank_is_said_and_nothing_is_concluded(staff, order, monkeypatch):
    monkeypatch.setattr("orders.gateways.stripe.charges_since", silent)
    answer = staff.post("/admin/orders/difference/compare/", follow=True)
    assert "The bank did not list its payments" in words(answer)


def test_what_the_bank_told_by_itself_is_listed_and_read_only(staff, order):
    told = GatewayEvent.objects.create(
        external_id="evt_1", type="charge.refunded", state="applied", attempt=order.last_attempt,
        payload={"id": "evt_1"}, occurred_at=order.placed_at, note="one refund",
    )  # fmt: skip
    text = words(staff.get("/admin/orders/gatewayevent/"))
    assert "charge.refunded" in text and order.number in text
    assert "evt_1" in words(staff.get(f"/admin/orders/gatewayevent/{told.pk}/change/"))
    assert staff.get("/admin/orders/gatewayevent/add/").status_code == 403


# -- The command --------------------------------------------------------------------------------


def test_the_command_settlement_ends_with_one_while_differences_are_open(order, lost, monkeypatch, capsys):
    monkeypatch.setattr("orders.gateways.stripe.charges_since", lambda since: [])
    monkeypatch.setattr("orders.gateways.stripe.refunds_since", lambda since: [])
    Difference.objects.update(kind="unmatched_event")
    with pytest.raises(SystemExit) as end:
        call_command("settlement")
    assert end.value.code == 1
    assert "1 open difference" in capsys.readouterr().out
    Difference.objects.update(resolved_at=order.placed_at)
    call_command("settlement", "--json", "--hours", "24")
    assert capsys.readouterr().out.strip() == "[]"


def test_the_command_settlement_says_when_the_bank_is_silent(order, monkeypatch):
    monkeypatch.setattr("orders.gateways.stripe.charges_since", silent)
    with pytest.raises(CommandError, match="did not list"):
        call_command("settlement")
