import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper


@pytest.fixture
def database_away(monkeypatch):
    def fail(*_, **__):
        raise OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", fail)


def test_a_database_that_is_away_is_no_fault_of_the_buyer(client, database_away):
    client.raise_request_exception = False

    answer = client.get("/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert b"One moment" in answer.content
    assert b"closed the connection" not in answer.content


def test_programs_are_told_to_try_again_with_the_same_key(client, database_away):
    client.raise_request_exception = False

    answer = client.get("/api/v1/products/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer["X-Request-ID"]


def test_any_other_fault_is_a_500(client, monkeypatch):
    client.raise_request_exception = False
    monkeypatch.setattr("orders.views.shelf.for_sale", lambda: 1 / 0)

    assert client.get("/").status_code == 500


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/?q=%00", "/orders/%00/", "/products/a%00/", "/admin/?status=%00"])
def test_a_nul_is_refused_at_the_door(client, address):
    assert client.get(address).status_code == 400


@pytest.mark.django_db
def test_a_nul_in_a_form_or_a_cookie_is_refused_too(client):
    body = "sku=%00"
    assert client.post("/cart/add/", body, "application/x-www-form-urlencoded").status_code == 400

    assert client.get("/", headers={"Cookie": 'sessionid="\\000abc"'}).status_code == 400
