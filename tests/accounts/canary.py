"""Somebody who has used everything that there is, and where to look for them."""

import smtplib
import zipfile
from io import BytesIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from PIL import Image
from PIL.ExifTags import Base

from accounts import addresses, profile
from accounts.models import User
from accounts.registration import sign_up
from config.env import media_store
from notifications.campaigns import campaigns, mailing_list
from notifications.mail import letters
from notifications.mail.mailbox import Mailbox
from notifications.models import (
    Campaign,
    Delivery,
    Letter,
    Subscriber,
)
from notifications.pipeline import decisions
from notifications.webhooks import endpoints
from orders import fulfilment, returning
from orders.models import GatewayEvent, Order, PaymentAttempt
from orders.refunds import Units
from tests.api.programs import Program, a_product, sent, staff
from tests.uploads import bucket
from tests.uploads.conftest import picture
from uploads import avatars, intake, processing, storage
from uploads.receiving import received

EMAIL = "kanarina.vogel@example.org"
PASSWORD = "correct horse battery"
# Each stands for something that only this person has, in the small letters that the search is in.
TYPED = ("kanarina", "vogelweg", "zwitserdam", "9876zz", "singlouder", "mytracking77", "canaryhook", "veryprivate")
TYPED += ("callmebirdy", "nestlane", "mybird", "itpecked")
IN_PICTURES = ("shotfrommycage",)  # what a camera writes into a file stays in the file
CANARIES = (*TYPED, *IN_PICTURES)
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
    settings.WAYBILL_DATA, settings.UPLOADS_WORK = tmp_path, tmp_path / "work"
    local = {"BACKEND": "uploads.storage.LocalStore", "OPTIONS": {"location": str(tmp_path / "media")}}
    settings.STORAGES = settings.STORAGES | {"default": local, "media": local}
    cache.clear()  # these log in more often than a person may
    return tmp_path


@pytest.fixture
def in_a_bucket(places, settings):
    """Uploads and copies of people's data lie in a bucket, and are sent there in parts where they are large."""
    with bucket.running() as there:
        both = dict.fromkeys(("default", "media"), media_store(there.url, folder=places))
        settings.STORAGES = settings.STORAGES | both
        yield there


@pytest.fixture
def shelf(bank):
    return a_product()


@pytest.fixture
def canary(deliver_due, shelf, places):
    """Somebody who has used everything that there is."""
    user = sign_up(email=EMAIL, password=PASSWORD, name="Kanarina Vogel", newsletter=True)
    user.vouch_for_address()
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
    cancelled, shipped, guest = (
        sent(order_over_the_api(one, key)) for one, key in ((program, "a"), (program, "b"), (boss, "c"))
    )
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
    _settled_in(user, Order.objects.get(number=shipped["number"]))
    deliver_due()
    visitor.post("/accounts/export/")
    deliver_due()
    return shipped


def _settled_in(user, order):
    """A profile, an address book, a picture for it, and goods that go back, with another picture."""
    profile.change(user=user, display_name="Callmebirdy", locale="en", time_zone="Europe/Zurich")
    addresses.add(user=user, fields=ADDRESS | {"line1": "Nestlane 7", "postal_code": "9876 ZZ"})
    face, claim = (_uploaded(user, f"mybird-{n}.jpg", colour=(n, 80, 80)) for n in (1, 2))
    processing.make_renditions(upload_id=face.pk)
    face.refresh_from_db()
    avatars.choose(upload=face)
    units = [Units(sku=line.sku, quantity=1) for line in order.lines.all()]
    returning.ask(order=order, lines=units, words="itpecked the mug", pictures=[claim])


def _uploaded(user, name, *, colour):
    exif = Image.Exif()
    exif[Base.ImageDescription] = "shotfrommycage"
    with storage.workplace() as folder:
        content = picture(colour=colour, exif=exif)
        return intake.accept(owner=user, file=received(name=name, chunks=[content], folder=folder))


def order_over_the_api(program, key):
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
            cursor.execute(f"SELECT * FROM {_q(table)} LIMIT 0")
            columns = [column[0] for column in cursor.description]
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
