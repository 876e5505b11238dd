import secrets

import pytest
from django.test import Client
from model_bakery import baker
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from notifications import tracing
from notifications.campaigns import mailing_list
from notifications.campaigns.models import Subscriber
from notifications.hiding import without_keys
from tests.accounts.people import letters, person
from uploads import addresses
from uploads.models import Rendition, Upload


@pytest.mark.django_db
def test_every_answer_names_its_request_and_the_log_keeps_no_guests_key(client, caplog):
    answer = client.get("/orders/WB-NOWHERE/?key=secret-of-a-guest")

    lines = " ".join(record.getMessage() for record in caplog.records)
    assert answer["X-Request-ID"] in lines
    assert "/orders/WB-NOWHERE/" in lines
    assert "secret-of-a-guest" not in lines


@pytest.mark.django_db
def test_a_clients_own_request_id_is_not_believed(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "somebody-elses"})

    assert answer["X-Request-ID"] != "somebody-elses"


# -- Links that open something --------------------------------------------------------------------


def reset_link(deliver_due):
    person()
    Client().post("/accounts/password/reset/", {"email": "ada@example.org"})
    deliver_due()
    return link_in(letters("accounts/new_password")[-1])


def confirm_link(deliver_due):
    Client().post("/newsletter/", {"email": "ada@example.org"})
    deliver_due()
    return link_in(letters("notifications/subscribe")[-1])


def leave_link(deliver_due):
    return mailing_list.leave_address(Subscriber.objects.create(email="ada@example.org"))


def media_address(deliver_due):
    upload = baker.make(Upload, owner=person(), kind="image", status="received", progress=0)
    return addresses.address(Rendition(upload=upload, path=f"{upload.folder}/{secrets.token_hex(16)}.webp"))


def link_in(letter):
    return next(line for line in letter.text.splitlines() if line.startswith("http"))


LINKS = pytest.mark.parametrize("link", [reset_link, confirm_link, leave_link, media_address])


@pytest.fixture
def followed(transactional_db, deliver_due, caplog):
    """`followed(link)`: its longest segment, which is its key, and the lines of the log after a visit."""

    def visit(link, **asked):
        path = "/" + link(deliver_due).split("://")[-1].partition("/")[2].lstrip("/")
        caplog.clear()
        Client(enforce_csrf_checks=True).generic(asked.pop("method", "GET"), path, **asked)
        return path, [f"{record.getMessage()} {record.args}" for record in caplog.records]

    return visit


def keys_of(path):
    uid = path.split("/")[-2] if "/renditions/" in path else ""
    return [segment for segment in path.split("/") if len(segment) >= 30 and segment != uid]


@LINKS
def test_what_opens_something_is_in_no_line_of_the_log(followed, link):
    path, lines = followed(link)

    assert keys_of(path)
    assert [line for line in lines for key in keys_of(path) if key in line] == []
    assert [line for line in lines if f"GET {without_keys(path)}" in line] != []


@pytest.mark.parametrize("link", [confirm_link, media_address])
def test_nor_in_the_line_that_django_writes_of_what_it_refuses(followed, link):
    """A form without its token, a medium that is not there: "Forbidden" and "Not Found", with the whole address."""
    path, lines = followed(link, method="POST" if link is confirm_link else "GET")

    refused = [line for line in lines if line.startswith(("Forbidden", "Not Found"))]
    assert [line for line in refused for key in keys_of(path) if key in line] == []
    assert [line.partition(": ")[2].split()[0] for line in refused] == [without_keys(path)]


@LINKS
def test_nor_in_a_span(followed, link):
    exporter = InMemorySpanExporter()
    tracing.use(SimpleSpanProcessor(exporter))
    try:
        path, _ = followed(link)
    finally:
        tracing.stop()

    told = " ".join(f"{span.to_json()}" for span in exporter.get_finished_spans())
    assert '"http.route"' in told
    assert [key for key in keys_of(path) if key in told] == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("(see https://shop.example/newsletter/leave/Zx8-uYt6Rr5Ee4Ww3Qq2Aa1Ss0Dd9Ff8).", "/leave/…"),
        ("/uploads/0197f3a2-7c1e-7cc1-9c5e-4d2a6b8c0e1f/row/", "/uploads/0197f3a2-7c1e-7cc1-9c5e-4d2a6b8c0e1f/row/"),
        ("/x/0197f3a2-7c1e-7cc1-9c5e-4d2a6b8c0e1f-and-more/", "/x/…/"),
        ("/orders/WB-4M7Q2KX/?key=Zx8uYt6Rr5Ee4Ww3Qq2Aa1Ss0Dd9Ff8Gg7", "/orders/WB-4M7Q2KX/?key=…"),
    ],
)
def test_keys_are_hidden_whatever_follows_and_names_of_rows_are_not(said, shown):
    assert shown in without_keys(said)
    assert "Zx8" not in without_keys(said)
