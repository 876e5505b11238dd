"""What a person keeps with us: profile, addresses, newsletter, keys, and the orders they placed as a guest."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import addresses, keys, profile, sessions
from accounts.events import EmailVerified
from accounts.models import Address, ApiKey, Profile, User
from accounts.personal_data import email_export_ready
from notifications.mail.sealing import shown
from notifications.models import Export, Letter, Subscriber
from notifications.personal_data.events import ExportReady
from notifications.pipeline.events import subscriptions
from orders import links
from orders.events import PaymentAuthorized, PaymentReceived
from orders.handlers import claim_guest_orders, claim_order_of_held_money, claim_paid_order
from orders.links import guest_path
from orders.models import Order
from tests.accounts.people import PASSWORD, is_in, person, signed_in, sure
from tests.api.programs import ADDRESS, Program, sent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nobody_has_tried():
    cache.clear()


def an_order(**fields):
    sums = {"currency": "EUR", "subtotal": 1000, "shipping": 0, "total": 1000}
    to = {"shipping_method": "standard", "shipping_address": ADDRESS, "correlation_id": "c", "status": "expired"}
    return Order.objects.create(**sums, **to, **fields)


# -- Profile --------------------------------------------------------------------------------------


def test_times_are_of_the_place_that_the_profile_names():
    user = person()
    an_order(user=user, email=user.email)
    Order.objects.update(placed_at="2026-01-15T12:00:00Z")
    client = signed_in(user)
    before = client.get("/accounts/orders/").content.decode()

    client.post("/accounts/profile/", {"display_name": "Ada", "locale": "", "time_zone": "Asia/Tokyo"})

    assert ("15 Jan 2026, 12:00" in before, Profile.objects.get().time_zone) == (True, "Asia/Tokyo")
    assert "15 Jan 2026, 21:00" in client.get("/accounts/orders/").content.decode()
    assert "15 Jan 2026, 21:00" in signed_in(user).get("/accounts/orders/").content.decode()


def test_language_and_time_zone_are_those_of_the_profile_wherever_its_owner_logs_in():
    ada, bob = person(), person("bob@example.org")
    signed_in(ada).post("/accounts/profile/", {"display_name": "Ada", "locale": "en", "time_zone": "Asia/Tokyo"})
    signed_in(bob).post("/accounts/profile/", {"display_name": "Bob", "locale": "", "time_zone": ""})
    elsewhere = signed_in(ada)
    adas = {name: elsewhere.cookies[name].value for name in ("django_language", "time_zone")}
    elsewhere.post("/accounts/logout/")
    elsewhere.post("/accounts/login/", {"login": bob.email, "password": PASSWORD})

    assert adas == {"django_language": "en", "time_zone": "Asia/Tokyo"}
    assert {elsewhere.cookies[name].value for name in adas} == {""}
    assert {elsewhere.cookies[name]["samesite"] for name in adas} == {"Lax"}


@pytest.mark.parametrize(("zone", "said"), [("Asia/Tokyo", "21:00 (Asia/Tokyo)"), ("", "12:00 (UTC)")])
def test_a_letters_times_are_of_the_place_that_the_profile_names(zone, said, run_handler):
    user = person()
    profile.change(user=user, display_name="Ada", locale="en", time_zone=zone)
    noon = datetime(2026, 1, 15, 12, tzinfo=UTC)
    export = Export.objects.create(user=user, state="ready", bytes=1, ready_at=noon, expires_at=noon)

    run_handler(email_export_ready, ExportReady(export_id=export.pk), about=export)

    assert f"It is deleted on 15 January 2026, {said}." in Letter.objects.get().text


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "Etc/UTC"])
def test_an_unknown_time_zone_is_refused_and_in_a_cookie_without_effect(zone, client):
    answer = signed_in(person()).post("/accounts/profile/", {"time_zone": zone})
    client.cookies["time_zone"] = zone

    assert (answer.status_code, "Time zone" in answer.content.decode()) == (422, True)
    assert client.get("/").status_code == 200


# -- Addresses ------------------------------------------------------------------------------------


def test_the_first_address_is_used_first_and_another_takes_its_place():
    user = person()
    client = signed_in(user)
    for city in ("Hoorn", "Enkhuizen"):
        client.post("/accounts/addresses/", {**ADDRESS, "city": city})
    hoorn, enkhuizen = (Address.objects.get(city=city) for city in ("Hoorn", "Enkhuizen"))
    assert [address.city for address in addresses.of(user)] == ["Hoorn", "Enkhuizen"]

    client.post(f"/accounts/addresses/{enkhuizen.uid}/press/", {"do": "default"})
    assert [address.city for address in addresses.of(user)] == ["Enkhuizen", "Hoorn"]

    client.post(f"/accounts/addresses/{enkhuizen.uid}/press/", {"do": "delete"})
    assert Address.objects.values_list("pk", "is_default").get() == (hoorn.pk, True)


def test_more_than_twenty_addresses_are_refused_in_words():
    user = person()
    for _ in range(addresses.MOST):
        addresses.add(user=user, fields=ADDRESS)

    answer = signed_in(user).post("/accounts/addresses/", ADDRESS)

    assert (answer.status_code, Address.objects.count()) == (422, addresses.MOST)
    assert "20 addresses are the most" in answer.content.decode()


def test_a_line_break_in_an_address_is_refused():
    answer = signed_in(person()).post("/accounts/addresses/", {**ADDRESS, "name": "Ada\nPaid: yes"})

    assert (answer.status_code, Address.objects.count()) == (422, 0)


def test_checkout_begins_with_the_first_address_or_with_the_chosen_one_of_ones_own():
    user, eve = person(), person("eve@example.org")
    addresses.add(user=user, fields={**ADDRESS, "line1": "Kade 1"})
    second = addresses.add(user=user, fields={**ADDRESS, "line1": "Haven 2"})
    foreign = addresses.add(user=eve, fields={**ADDRESS, "line1": "Steeg 3"})

    begun = [addresses.prefilled(user, chosen=uid)["line1"] for uid in (None, second.uid, foreign.uid)]

    assert begun == ["Kade 1", "Haven 2", "Kade 1"]


# -- Newsletter -----------------------------------------------------------------------------------


def test_the_newsletter_is_asked_for_by_letter_and_left_at_once(deliver_due):
    user = person()
    client = signed_in(user)

    client.post("/accounts/newsletter/", {"do": "join"})
    deliver_due()
    assert Subscriber.objects.values_list("email", "state").get() == (user.email, "asked")
    client.post("/accounts/newsletter/", {"do": "leave"})

    assert Subscriber.objects.get().state == "left"


# -- Orders ---------------------------------------------------------------------------------------


def test_guest_orders_are_claimed_once_the_address_is_verified(run_handler):
    user = person()
    mine, others = an_order(email="ADA@example.org"), an_order(email="bob@example.org")
    taken = an_order(email=user.email, user=person("eve@example.org"))
    address = user.emailaddress_set.get()
    assert Client().get(f"/orders/{mine.number}/").status_code == 404

    for _ in "12":
        run_handler(claim_guest_orders, EmailVerified(user_id=user.pk, address_id=address.pk), about=user)

    owners = {order.pk: order.user_id for order in Order.objects.all()}
    assert owners == {mine.pk: user.pk, others.pk: None, taken.pk: taken.user_id}
    assert mine.number in signed_in(user).get("/accounts/orders/").content.decode()


def test_an_address_that_is_not_verified_claims_nothing(run_handler):
    user = person()
    user.emailaddress_set.update(verified=False)
    an_order(email=user.email)

    address = user.emailaddress_set.get()
    run_handler(claim_guest_orders, EmailVerified(user_id=user.pk, address_id=address.pk), about=user)

    assert Order.objects.get().user_id is None


PAID = {claim_paid_order: PaymentReceived, claim_order_of_held_money: PaymentAuthorized}


def told_of_payment(run_handler, order, handler=claim_paid_order):
    event = PAID[handler](order_id=order.pk, attempt_id="1", amount=1290, currency="EUR")
    for _ in "12":
        run_handler(handler, event, about=order)
    order.refresh_from_db()


@pytest.mark.parametrize("handler", PAID)
def test_what_a_guest_buys_later_with_a_verified_address_is_in_the_history_of_its_account(run_handler, handler):
    user = person()
    order, others = an_order(email="ADA@example.org"), an_order(email="bob@example.org")
    taken = an_order(email=user.email, user=person("eve@example.org"))
    Order.objects.update(placed_at="2026-01-15T12:00:00Z")  # "1 second ago" would be another page a second later
    before = Client().get(guest_path(order)).content

    for one in (order, others, taken):
        told_of_payment(run_handler, one, handler)

    assert (order.user, others.user, taken.user.email) == (user, None, "eve@example.org")
    assert order.number in signed_in(user).get("/accounts/orders/").content.decode()
    # Who bought it sees what they saw, and nothing of an account.
    assert without_nonces(Client().get(guest_path(order)).content) == without_nonces(before)


def without_nonces(page):
    return re.sub(r'(nonce|csrfmiddlewaretoken" value|X-CSRFToken": ?)="?[^" ]+', "", page.decode())


@pytest.mark.parametrize("how", ["not verified", "closed", "nobody"])
def test_a_paid_order_of_an_address_that_no_open_account_has_shown_to_be_its_own_stays_a_guests(run_handler, how):
    user = person()
    if how == "not verified":
        user.emailaddress_set.update(verified=False)
    elif how == "closed":
        User.objects.update(is_active=False)
    order = an_order(email="somebody@example.org" if how == "nobody" else user.email)

    told_of_payment(run_handler, order)

    assert order.user is None


def test_an_order_that_was_not_paid_is_put_into_nobodys_history():
    heard = {one.handler: one.events for one in subscriptions.values() if "claim" in one.handler}

    assert heard == {
        "orders.claim_guest_orders": (EmailVerified,),
        "orders.claim_paid_order": (PaymentReceived,),
        "orders.claim_order_of_held_money": (PaymentAuthorized,),
    }


def test_the_history_costs_the_same_few_queries_for_many_orders(django_assert_num_queries):
    user = person()
    client = signed_in(user)
    for _ in range(25):
        an_order(user=user, email=user.email)

    with django_assert_num_queries(4):  # session, person, count, page
        page = client.get("/accounts/orders/")

    assert page.content.decode().count("WB-") == 2 * 20


# -- API keys -------------------------------------------------------------------------------------


def make_key(client, *scopes, **fields):
    return client.post("/accounts/api-keys/", {"name": "Till", "scopes": scopes, "days": "90", **fields})


def plain_in(page):
    return re.search(r"wb_[\w-]{20,}", page.content.decode())[0]


def test_a_key_is_shown_once_and_kept_as_a_digest():
    user = person()
    client = sure(signed_in(user))

    plain = plain_in(make_key(client, "orders:read"))

    key = keys.recognise(plain=plain)
    assert (key.user, key.name, key.scopes) == (user, "Till", ["orders:read"])
    assert plain not in client.get("/accounts/api-keys/").content.decode()
    assert plain not in str(list(ApiKey.objects.values()))
    assert timedelta(days=89) < key.expires_at - timezone.now() <= timedelta(days=90)


def test_making_a_key_asks_once_more_who_it_is():
    answer = make_key(signed_in(person()), "orders:read")

    assert (answer.status_code, answer.url.split("?")[0], ApiKey.objects.count()) == (
        302,
        "/accounts/reauthenticate/",
        0,
    )


@pytest.mark.parametrize("scope", ["refunds:write", "customers:write", "everything"])
def test_nobody_gives_a_key_what_they_may_not_do_themselves(scope):
    answer = make_key(sure(signed_in(person())), "orders:read", scope)

    assert (answer.status_code, ApiKey.objects.count()) == (422, 0)


def test_a_key_opens_no_more_than_its_owner_may_do_by_now():
    user = person("staff@example.org", is_staff=True, is_superuser=True)
    program = Program(user, ["events:read", "customers:write"])
    assert program.get("events/").status_code == 200

    user.is_superuser = False
    user.save()

    answer = program.get("events/")
    assert answer.status_code == 403
    assert sent(answer)["detail"] == "The owner of this key may not do what events:read opens."


def test_a_key_with_too_little_is_told_which_scope_is_missing():
    answer = Program(person(), ["orders:write"]).get("orders/")

    assert (answer.status_code, sent(answer)["detail"]) == (403, "This key lacks the scope orders:read.")


def test_a_key_ends_at_its_time_and_says_when_it_was_used(time_machine):
    end = timezone.now() + timedelta(days=1)
    _, plain = keys.issue(user=person(), name="k", scopes=[], expires_at=end)

    used = keys.recognise(plain=plain)
    time_machine.move_to(end)

    assert ApiKey.objects.get().last_used_at is not None
    assert (used is None, keys.recognise(plain=plain)) == (False, None)


def test_a_replaced_key_goes_on_for_its_overlap_and_no_longer(time_machine):
    client = sure(signed_in(person()))
    old = plain_in(make_key(client, "orders:read"))
    press = f"/accounts/api-keys/{ApiKey.objects.get().pk}/press/"

    new = plain_in(client.post(press, {"do": "replace", "overlap": "24"}))
    again = client.post(press, {"do": "replace", "overlap": "24"}, follow=True)

    assert [keys.recognise(plain=one) is not None for one in (old, new)] == [True, True]
    assert "has been replaced" in again.content.decode()
    time_machine.move_to(timezone.now() + timedelta(hours=25))
    assert [keys.recognise(plain=one) is not None for one in (old, new)] == [False, True]


def test_a_new_key_lives_no_longer_than_the_one_it_replaces_was_made_for():
    client = sure(signed_in(person()))
    make_key(client, "orders:read", days="30")

    client.post(f"/accounts/api-keys/{ApiKey.objects.get().pk}/press/", {"do": "replace", "overlap": "0"})

    new = ApiKey.objects.get(replaced_at=None)
    assert timedelta(days=29) < new.expires_at - timezone.now() <= timedelta(days=30)


def test_a_revoked_key_opens_nothing_and_nobody_revokes_anothers():
    ada, eve = sure(signed_in(person())), signed_in(person("eve@example.org"))
    plain = plain_in(make_key(ada, "orders:read"))
    press = f"/accounts/api-keys/{ApiKey.objects.get().pk}/press/"

    eve.post(press, {"do": "revoke"})
    assert keys.recognise(plain=plain) is not None
    ada.post(press, {"do": "revoke"})

    assert keys.recognise(plain=plain) is None


def test_who_is_shut_out_loses_sessions_and_keys_for_good():
    user = person()
    client = signed_in(user)
    _, plain = keys.issue(user=user, name="k", scopes=[])

    user.is_active = False
    user.save()
    sessions.shut_out(user)
    user.is_active = True
    user.save()

    assert (is_in(client), keys.recognise(plain=plain)) == (False, None)


# -- Letters that hold keys -----------------------------------------------------------------------


def a_letter(order, template="orders/confirmation"):
    link = links.guest_link(order)
    return Letter(template=template, text=f"Your order: {link}\n", html=f'<a href="{link}">Your order</a>'), link


def test_staff_who_may_only_look_read_no_private_link():
    order = an_order(email="guest@example.org")
    letter, link = a_letter(order)
    looks, acts = person("a@example.org", is_staff=True), person("b@example.org", is_staff=True, is_superuser=True)

    seen = [shown(letter, part, user=looks) for part in (letter.text, letter.html)]

    key = link.partition("key=")[2]
    assert [key in part for part in seen] == [False, False]
    assert [f"{order.number}/?key=…" in part for part in seen] == [True, True]
    assert shown(letter, letter.text, user=acts) == letter.text


@pytest.mark.parametrize("template", ["accounts/code", "accounts/new_password"])
def test_what_logs_somebody_in_is_read_by_no_staff_at_all(template):
    letter, _ = a_letter(an_order(email="guest@example.org"), template)
    boss = person("b@example.org", is_staff=True, is_superuser=True)

    assert shown(letter, letter.text, user=boss).startswith("This letter holds a code or a link")
