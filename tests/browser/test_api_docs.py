"""The API's own documentation, under the site's strict content policy."""

from pathlib import Path

import pytest
import yaml

OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"

pytestmark = pytest.mark.browser


def test_every_operation_is_shown(visit):
    page = visit()

    page.goto("/api/docs/")
    page.wait_for_selector(".opblock")

    described = yaml.safe_load(OPENAPI.read_text())["paths"].values()
    methods = {"get", "post", "put", "patch", "delete"}
    assert page.locator(".opblock").count() == sum(len(methods & path.keys()) for path in described)


def test_an_order_can_be_placed_from_the_documentation(visit, shop):
    page = visit()
    page.goto("/api/docs/")
    page.click(".btn.authorize")
    page.fill("#auth-bearer-value", shop.facts["api_keys"]["customer"])
    page.click(".auth-btn-wrapper .authorize")
    page.click(".auth-btn-wrapper .btn-done")
    operation = page.locator("#operations-orders-place_order")

    operation.locator(".opblock-summary-control").click()
    operation.locator(".try-out__btn").click()
    operation.locator("[placeholder='Idempotency-Key']").fill("from-the-documentation")
    operation.locator(".execute").click()

    answer = operation.locator(".live-responses-table .response").first
    assert "201" in answer.locator(".response-col_status").inner_text(timeout=20_000)
