"""The page on which a buyer approves a payment, or refuses it."""

from orders.gateways import stripe as gateway
from orders.gateways.base import Status
from tests.bank.conftest import Bank, Said, a_charge


def deciding(bank: Bank, id: str | None, decision: str) -> Said:
    return bank.send("POST", f"/3ds/{id}", f"decision={decision}", {})


def test_a_buyer_who_approves_is_charged_once_and_sent_back(bank: Bank) -> None:
    request = a_charge("pm_card_authenticationRequired")
    asked = gateway.charge(request)
    page = bank.send("GET", f"/3ds/{asked.gateway_id}", None, {})
    first, second = deciding(bank, asked.gateway_id, "approve"), deciding(bank, asked.gateway_id, "refuse")

    assert asked.action_url == f"{bank.url}/3ds/{asked.gateway_id}"
    assert "12.50 EUR" in page.text
    assert "Order WB-7Q2M4K9T" in page.text
    assert (first.status, second.status) == (303, 303)
    assert "/orders/WB-7Q2M4K9T/?payment_intent=" in first.headers["Location"]
    assert gateway.find(request).status is Status.SUCCEEDED
    assert [(line["status"], line["key"]) for line in bank.lines()] == [("succeeded", request.reference)]


def test_a_buyer_who_refuses_is_not_charged(bank: Bank) -> None:
    request = a_charge("pm_card_authenticationRequired")
    asked = gateway.charge(request)
    said = deciding(bank, asked.gateway_id, "refuse")

    assert "redirect_status=failed" in said.headers["Location"]
    assert (gateway.find(request).status, gateway.find(request).code) == (Status.DECLINED, "authentication_failure")
    assert bank.lines(status="succeeded") == []


def test_the_page_shows_what_the_shop_wrote_as_text(bank: Bank) -> None:
    id = bank.intent(description="<script>alert(1)</script>")
    bank.confirm(id, "pm_card_authenticationRequired", "key-1")

    assert "<script>" not in bank.send("GET", f"/3ds/{id}", None, {}).text


def test_a_buyer_who_approves_what_is_taken_later_has_it_held(bank: Bank) -> None:
    request = a_charge("pm_card_authenticationRequired", capture_later=True)
    asked = gateway.charge(request)
    said = deciding(bank, asked.gateway_id, "approve")
    held = gateway.find(request, asked.gateway_id)

    assert "redirect_status=succeeded" in said.headers["Location"]
    assert "The payment is approved." in bank.send("GET", f"/3ds/{asked.gateway_id}", None, {}).text
    assert (held.status, held.amount) == (Status.AUTHORIZED, 1250)
    assert bank.lines(kind="charge") == []
    assert gateway.capture(asked.gateway_id).status is Status.SUCCEEDED
