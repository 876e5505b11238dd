import pytest
from django.db import OperationalError


@pytest.fixture
def database_away(monkeypatch):
    def fail(*_, **__):
        raise OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr("orders.views.shelf.for_sale", fail)
    monkeypatch.setattr("orders.api.views.products", fail)


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
