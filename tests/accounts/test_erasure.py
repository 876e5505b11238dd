"""A person who wants to be forgotten is: nothing that names them is found in any place we keep things in."""

import time
from dataclasses import replace
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client

from accounts import erasure, keys, personal_data
from accounts.events import UserRegistered
from accounts.models import Address, User
from accounts.registration import sign_up
from notifications import erased
from notifications.audit import seals
from notifications.mail.letters import queue_letter
from notifications.models import (
    AuditEntry,
    AuditOrigin,
    Erasure,
    Event,
    Letter,
)
from notifications.personal_data.registry import holdings
from notifications.pipeline.events import publish
from orders import fulfilment
from orders.models import Order, ReturnPicture
from tests.accounts.canary import (
    ADDRESS,
    CANARIES,
    EMAIL,
    IN_PICTURES,
    PASSWORD,
    TYPED,
    canary,
    forgotten,
    in_files,
    in_sessions,
    in_the_database,
    kept_letters,
    order_over_the_api,
    places,
    reauthenticated,
    shelf,
    used_up,
    visitor,
)
from tests.api.programs import Program, sent, staff
from uploads.models import Avatar

__all__ = ["canary", "places", "shelf", "visitor"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_that_names_an_erased_person_is_left_anywhere(
    canary, visitor, monkeypatch, deliver_due, pass_time, places, caplog
):
    caplog.set_level("DEBUG")
    caplog.set_level("INFO", "PIL")  # it tells what it writes into the picture that is planted
    used_up(canary, visitor, monkeypatch, deliver_due, pass_time)
    kept_letters(places)
    assert Client().post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 302
    assert in_sessions() != []
    planted = {word for _, _, word in in_the_database()}
    assert planted == set(TYPED)
    assert {word for _, word in in_files(places)} >= {"kanarina", "vogelweg", "mybird", *IN_PICTURES}
    assert (Avatar.objects.count(), ReturnPicture.objects.count(), Address.objects.count()) == (1, 1, 1)

    assert reauthenticated(visitor).post("/accounts/delete/", {"sure": "yes"}).status_code == 302
    with transaction.atomic():  # told late, of what happened before
        publish(UserRegistered(user_id=canary.pk, newsletter=True), about=canary)
    forgotten(deliver_due, pass_time)

    assert in_the_database() == []
    assert (in_files(places), in_sessions()) == ([], [])
    assert [path for path in (places / "media").rglob("*") if path.is_file()] == []
    assert [word for word in CANARIES if word in caplog.text.lower()] == []
    assert Erasure.objects.get().state == Erasure.State.DONE
    assert [fault for fault in seals.faults() if "address" in fault] == []


def test_what_tax_law_asks_for_stays(canary, visitor, monkeypatch, deliver_due, pass_time):
    shipped = used_up(canary, visitor, monkeypatch, deliver_due, pass_time)
    before = Order.objects.get(number=shipped["number"])

    erasure.close(user=canary)
    forgotten(deliver_due, pass_time)

    after = Order.objects.get(pk=before.pk)
    kept = ("number", "serial", "status", "currency", "subtotal", "shipping", "tax", "total", "placed_at", "paid_at")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert after.shipping_address == {"country": "NL"}
    assert after.email == f"user-{canary.pk}@erased.invalid"
    assert after.invoices.count() == before.invoices.count() == 2
    assert after.lines.get().sku == "MUG-RED"


def test_a_closed_account_opens_nothing_from_that_moment_on(canary, visitor):
    _, plain = keys.issue(user=canary, name="mine", scopes=["orders:read"])

    reauthenticated(visitor).post("/accounts/delete/", {"sure": "yes"})

    answer = Client().get("/api/v1/orders/", headers={"Authorization": f"Bearer {plain}"})
    assert answer.status_code == 401
    assert visitor.get("/accounts/export/").status_code == 302
    assert Client().post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 200


def test_the_page_asks_who_it_is_first(canary, visitor):
    answer = visitor.get("/accounts/delete/")

    assert answer["Location"] == "/accounts/reauthenticate/?next=%2Faccounts%2Fdelete%2F"


def test_who_has_a_second_factor_shows_that_too(canary, visitor):
    secret = generate_totp_secret()
    TOTP.activate(canary, secret)
    reauthenticated(visitor)
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))

    assert visitor.post("/accounts/delete/", {"sure": "yes"})["Location"].startswith("/accounts/2fa/reauthenticate/?")
    visitor.post("/accounts/2fa/reauthenticate/", {"code": code, "next": "/"})
    visitor.post("/accounts/delete/", {"sure": "yes"})

    assert Erasure.objects.get().user_id == canary.pk


def test_nothing_is_deleted_before_the_box_is_ticked(canary, visitor):
    answer = reauthenticated(visitor).post("/accounts/delete/")

    assert (answer.status_code, Erasure.objects.count()) == (422, 0)
    assert User.objects.get(pk=canary.pk).is_active


def test_who_has_rights_in_the_shop_stays(canary, visitor):
    User.objects.filter(pk=canary.pk).update(is_staff=True)

    reauthenticated(visitor).post("/accounts/delete/", {"sure": "yes"})
    with pytest.raises(erasure.StaffStay):
        erasure.close(user=canary)

    assert User.objects.get(pk=canary.pk).is_active


def test_an_account_is_closed_once(canary):
    erasure.close(user=canary)

    with pytest.raises(erasure.ClosedBefore):
        erasure.close(user=canary)

    assert Erasure.objects.count() == 1


def test_an_order_on_its_way_keeps_its_address_until_it_has_left(canary, deliver_due, pass_time):
    order = Order.objects.get(number=sent(order_over_the_api(Program(canary, ["orders:write"]), "a"))["number"])
    deliver_due()
    erasure.close(user=canary)
    forgotten(deliver_due, pass_time)
    assert Order.objects.get(pk=order.pk).shipping_address == ADDRESS
    assert Letter.objects.get(template="orders/shipping_notice").text != ""

    fulfilment.ship(order=order)
    pass_time(hours=1)
    forgotten(deliver_due, pass_time)

    assert in_the_database() == []
    assert Erasure.objects.get().state == Erasure.State.DONE


def test_one_part_that_fails_holds_up_no_other(canary, deliver_due, monkeypatch):
    def away(_):
        raise OSError("the store is away")

    monkeypatch.setitem(holdings, "exports", replace(holdings["exports"], erase=away))

    erasure.close(user=canary)
    deliver_due()

    assert Erasure.objects.get().erased == sorted(set(holdings) - {"exports"})


def test_a_letter_that_was_being_written_is_found_by_the_second_look(canary, deliver_due, pass_time):
    erasure.close(user=canary)
    deliver_due()
    late = Letter.objects.get(template="accounts/welcome")
    Letter.objects.filter(pk=late.pk).update(
        to=EMAIL, text="Dear Kanarina", html="", subject="", state="queued", sent_at=None
    )

    pass_time(minutes=16)
    deliver_due()

    late.refresh_from_db()
    assert (late.to, late.text, late.state) == (f"user-{canary.pk}@erased.invalid", "", "withdrawn")


def test_nobody_is_written_to_who_is_erased(canary):
    with transaction.atomic():
        letter = queue_letter(
            once="x", template="accounts/welcome", to=erased.address("user:1"), context={"user": canary}, about=canary
        )

    assert (letter.state, letter.text) == ("withdrawn", "")
    assert not Event.objects.filter(name="email.queued", payload__letter_id=letter.pk).exists()


def test_who_has_the_address_afterwards_keeps_their_letters(canary, deliver_due, pass_time):
    erasure.close(user=canary)
    deliver_due()
    other = sign_up(email=EMAIL, password=PASSWORD, name="Somebody", newsletter=False)
    deliver_due()

    pass_time(minutes=16)
    deliver_due()

    assert Letter.objects.get(subject_ref=f"user:{other.pk}").to == EMAIL


def test_an_address_that_was_only_claimed_erases_nobody_else(canary):
    EmailAddress.objects.create(user=canary, email="victim@example.com", verified=False)

    assert personal_data.addresses_of(canary) == [EMAIL]


def test_the_audit_log_tells_of_the_erasure_without_a_name_or_an_address(canary, visitor, deliver_due, pass_time):
    reauthenticated(visitor).post("/accounts/delete/", {"sure": "yes"})
    forgotten(deliver_due, pass_time)

    me = f"user:{canary.pk}"
    told = AuditEntry.objects.filter(about=me).values_list("action", flat=True)
    assert {"person.erasure_asked", "account.closed", "person.erased"} <= set(told)
    assert AuditOrigin.objects.filter(entry__actor=me).count() == 0


def test_who_bought_as_a_guest_is_forgotten_by_command(canary, deliver_due, pass_time):
    order = Order.objects.get(number=sent(order_over_the_api(Program(staff(), ["orders:write"]), "a"))["number"])
    fulfilment.ship(order=order)
    User.objects.filter(pk=canary.pk).update(email="else@example.com")
    EmailAddress.objects.all().delete()
    deliver_due()

    call_command("forget", EMAIL, "--json", stdout=StringIO())
    forgotten(deliver_due, pass_time)

    order.refresh_from_db()
    assert (order.shipping_address, order.email) == ({"country": "NL"}, f"user-{order.user_id}@erased.invalid")


@pytest.mark.parametrize(("email", "why"), [("no address", "no e-mail address"), ("staff@example.org", "rights")])
def test_the_command_says_why_it_does_nothing(transactional_db, email, why):
    staff()

    with pytest.raises(CommandError, match=why):
        call_command("forget", email)
