"""A person who wants to be forgotten is: nothing that names them is found in any place we keep things in."""

import json
import re
import smtplib
import zipfile
from dataclasses import replace
from io import BytesIO

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import erasure, keys, personal_data
from accounts.events import UserRegistered
from accounts.models import ApiKey, User
from accounts.registration import sign_up
from notifications import erased
from notifications.audit import seals
from notifications.campaigns import campaigns, mailing_list
from notifications.mail import letters
from notifications.mail.letters import queue_letter
from notifications.mail.mailbox import Mailbox
from notifications.models import (
    AuditEntry,
    AuditOrigin,
    Campaign,
    Delivery,
    Endpoint,
    Erasure,
    Event,
    Export,
    Letter,
    Subscriber,
)
from notifications.personal_data import exports
from notifications.personal_data.registry import holdings
from notifications.pipeline import decisions
from notifications.pipeline.events import publish
from notifications.webhooks import endpoints
from orders import fulfilment
from orders.models import GatewayEvent, Order, PaymentAttempt
from tests.api.programs import Program, a_product, sent, staff

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL = "kanarina.vogel@example.org"
PASSWORD = "correct horse battery"
# Each stands for something that only this person has, in the small letters that the search is in.
CANARIES = ("kanarina", "vogelweg", "zwitserdam", "9876zz", "singlouder", "mytracking77", "canaryhook", "veryprivate")
ADDRESS = {
    "name": "Kanarina Vogel",
    "line1": "Vogelweg 3",
    "line2": "",
    "postal_code": "9876ZZ",
    "city": "Zwitserdam",
    "country": "NL",
}
BODY = {
    "email": EMAIL,
    "items": [{"sku": "MUG-RED", "quantity": 1}],
    "shipping_address": ADDRESS,
    "shipping_method": "standard",
    "payment_method": "pm_card_visa",
}


@pytest.fixture(autouse=True)
def places(settings, tmp_path):
    settings.WAYBILL_DATA = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    cache.clear()  # these log in more often than a person may
    return tmp_path


@pytest.fixture
def shelf(bank):
    return a_product()


@pytest.fixture
def canary(deliver_due, shelf, places):
    """Somebody who has used everything that there is."""
    user = sign_up(email=EMAIL, password=PASSWORD, name="Kanarina Vogel", newsletter=True)
    with transaction.atomic():
        mailing_list.join(email=EMAIL, name="Kanarina Vogel")
    deliver_due()
    mailing_list.confirm(Subscriber.objects.get(email=EMAIL))
    spring = Campaign.objects.create(name="spring", subject="Spring, {name}", text="Dear {name}", per_minute=600)
    campaigns.start(spring)
    deliver_due()
    return user


@pytest.fixture
def visitor(canary):
    client = Client()
    assert client.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 302
    return client


def reauthenticated(client):
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/"}).status_code == 302
    return client


def used_up(user, visitor, monkeypatch, deliver_due, pass_time):
    """Orders of all kinds, letters that fail, a webhook, staff who look and type."""
    program, boss = Program(user, ["orders:read", "orders:write"]), Program(staff())
    cancelled, shipped, guest = (sent(_order(one, key)) for one, key in ((program, "a"), (program, "b"), (boss, "c")))
    Order.objects.filter(number=guest["number"]).update(user=None)
    _refuse_letters(monkeypatch)
    deliver_due()
    monkeypatch.undo()
    pass_time(hours=9)
    _refuse_some(monkeypatch)
    deliver_due()
    monkeypatch.undo()
    deliver_due()
    _decide(boss, cancelled, "cancel", reason="singlouder asked for it")
    _decide(boss, shipped, "shipments", carrier="PostNL", tracking="mytracking77")
    _decide(boss, shipped, "refunds", amount=100, reason="singlouder again")
    fulfilment.ship(order=Order.objects.get(number=guest["number"]), tracking="mytracking77")
    deliver_due()
    _the_bank_tells(shipped)
    endpoints.open_endpoint(
        owner=user, url="https://canaryhook.example/x", events=["order.shipped"], description="canaryhook"
    )
    dead = Delivery.objects.dead().filter(event__subject__startswith="order:").first()
    decisions.discard(delivery=dead, by="user:1", reason=f"{EMAIL} moved")
    _staff_rename(user)
    visitor.post("/accounts/export/")
    deliver_due()
    return shipped


def _order(program, key):
    return program.post("orders/", BODY, **{"Idempotency-Key": key})


def _decide(boss, order, what, **body):
    answer = boss.post(f"orders/{order['number']}/{what}/", body, **{"Idempotency-Key": f"{what}{order['number']}"})
    assert answer.status_code < 300, answer.content


class Server:
    def __init__(self, error):
        self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def send_messages(self, messages):
        raise self.error(messages[0].to[0])


def _refuse_letters(monkeypatch):
    def refusal(to):
        return smtplib.SMTPRecipientsRefused({to: (550, f"5.1.1 <{to}> is veryprivate".encode())})

    monkeypatch.setattr(letters, "_server", lambda: Server(refusal))


def _refuse_some(monkeypatch):
    def refusal(to):
        return smtplib.SMTPDataError(451, f"4.7.1 <{to}> greylisted, veryprivate".encode())

    monkeypatch.setattr(letters, "_server", lambda: Server(refusal))


def _the_bank_tells(order):
    attempt = PaymentAttempt.objects.get(order__number=order["number"])
    GatewayEvent.objects.create(
        external_id="evt_9", type="charge.updated", state="applied", attempt=attempt, occurred_at=timezone.now(),
        payload={"data": {"object": {"billing_details": {"name": "Kanarina Vogel", "email": EMAIL}}}},
    )  # fmt: skip


def _staff_rename(user):
    boss = User.objects.create_superuser("boss@example.com", "x")
    client = Client()
    client.force_login(boss)
    client.get(f"/admin/accounts/user/{user.pk}/change/")
    LogEntry.objects.log_actions(boss.pk, User.objects.filter(pk=user.pk), 2, change_message="made kanarina")


def kept_letters(places):
    """What a local shop's mail server has on disk."""
    box = Mailbox(places / "mailbox")
    for letter in Letter.objects.exclude(text=""):
        content = f"Message-ID: {letter.message_id}\r\nTo: {letter.to}\r\n\r\n{letter.text}".encode()
        box.keep(content, sender="shop@example.com", to=[letter.to])


def in_the_database():
    """(table, column, canary), wherever one is found: in any column of any table, whatever its type."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
            cursor.execute(f"SELECT {', '.join(f'CAST({_q(name)} AS text)' for name in columns)} FROM {_q(table)}")
            for row in cursor.fetchall():
                cells = zip(columns, (str(cell).lower() for cell in row), strict=True)
                found += [(table, name, word) for name, cell in cells for word in CANARIES if word in cell]
    return sorted(set(found))


def _q(name):
    return connection.ops.quote_name(name)


def in_files(folder):
    """Also inside of ZIP files."""
    found = []
    for path in (one for one in folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        if zipfile.is_zipfile(BytesIO(content)):
            with zipfile.ZipFile(BytesIO(content)) as archive:
                content += b"".join(archive.read(name) for name in archive.namelist())
        words = (path.name + content.decode(errors="replace")).lower()
        found += [(path.name, word) for word in CANARIES if word in words]
    return found


def in_sessions():
    held = [str(session.get_decoded()).lower() for session in Session.objects.all()]
    return [word for word in CANARIES for words in held if word in words]


def forgotten(deliver_due, pass_time):
    deliver_due()
    pass_time(minutes=16)
    deliver_due()


def test_nothing_that_names_an_erased_person_is_left_anywhere(
    canary, visitor, monkeypatch, deliver_due, pass_time, places, caplog
):
    caplog.set_level("DEBUG")
    used_up(canary, visitor, monkeypatch, deliver_due, pass_time)
    kept_letters(places)
    assert Client().post("/accounts/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 302
    assert in_sessions() != []
    planted = {word for _, _, word in in_the_database()}
    assert planted == set(CANARIES)
    assert {word for _, word in in_files(places)} >= {"kanarina", "vogelweg"}

    assert reauthenticated(visitor).post("/accounts/delete/", {"sure": "yes"}).status_code == 302
    with transaction.atomic():  # told late, of what happened before
        publish(UserRegistered(user_id=canary.pk, newsletter=True), about=canary)
    forgotten(deliver_due, pass_time)

    assert in_the_database() == []
    assert (in_files(places), in_sessions()) == ([], [])
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
    order = Order.objects.get(number=sent(_order(Program(canary, ["orders:write"]), "a"))["number"])
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


# -- a copy of everything ---------------------------------------------------------------------


def test_a_copy_holds_a_file_for_each_subject_and_no_secret(canary, visitor, monkeypatch, deliver_due, pass_time):
    used_up(canary, visitor, monkeypatch, deliver_due, pass_time)

    made = Export.objects.get()
    content = b"".join(reauthenticated(visitor).get(f"/accounts/export/{made.uid}/").streaming_content)

    with zipfile.ZipFile(BytesIO(content)) as archive:
        said = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert sorted(said) == sorted(f"{name}.json" for name in holdings)
    assert said["account.json"][0]["email"] == EMAIL
    assert [row["shipping_address"] for row in said["orders.json"]] == [ADDRESS] * 3
    assert said["webhooks.json"][0]["description"] == "canaryhook"
    secrets = [Endpoint.objects.get().secret, *ApiKey.objects.values_list("digest", flat=True), canary.password]
    assert [secret for secret in secrets if secret in content.decode(errors="replace")] == []
    assert (made.done, made.total, made.bytes) == (len(holdings), len(holdings), len(content))


def test_a_letter_says_that_the_copy_is_there(canary, visitor, deliver_due):
    visitor.post("/accounts/export/")
    deliver_due()

    assert mail.outbox[-1].subject == "Your copy is ready"
    assert re.search(r"/accounts/export/\s", mail.outbox[-1].body)


def test_a_copy_is_fetched_by_its_owner_only_and_only_after_the_password(canary, visitor, deliver_due):
    visitor.post("/accounts/export/")
    deliver_due()
    page = f"/accounts/export/{Export.objects.get().uid}/"
    other = Client()
    other.force_login(User.objects.create_user("b@example.com", "x"))

    assert other.get(page).status_code == 404
    assert Client().get(page)["Location"].startswith("/accounts/login/")
    assert visitor.get(page)["Location"].startswith("/accounts/reauthenticate/")
    assert reauthenticated(visitor).get(page)["Content-Type"] == "application/zip"
    assert AuditEntry.objects.filter(action="export.fetched", actor=f"user:{canary.pk}").count() == 1


def test_there_is_one_copy_at_a_time(canary, visitor):
    visitor.post("/accounts/export/")

    with pytest.raises(exports.OneIsThere):
        exports.ask(user_id=canary.pk)


def test_a_copy_whose_time_is_over_is_gone_and_another_can_be_made(canary, visitor, deliver_due):
    visitor.post("/accounts/export/")
    deliver_due()
    old = Export.objects.get()
    Export.objects.update(expires_at=timezone.now())

    assert reauthenticated(visitor).get(f"/accounts/export/{old.uid}/").status_code == 404
    assert exports.prune() == 1
    assert not default_storage.exists(old.path)
    assert exports.ask(user_id=canary.pk).state == "running"


def test_a_copy_that_was_being_made_when_the_account_was_closed_is_not_kept(canary, visitor, deliver_due):
    export = exports.ask(user_id=canary.pk)
    Export.objects.filter(pk=export.pk).update(state="gone")

    exports.gather(export, personal_data.person_of(canary))

    assert not default_storage.exists(export.path)
