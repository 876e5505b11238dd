import pytest


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
