"""What holds for every address of the API: who may, how it refuses, and that its description is true."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.management import call_command
from django.test import RequestFactory
from django.urls import get_resolver

from config import api_urls
from config.wsgi import application
from notifications.api.scopes import SCOPES
from orders.api.views import Products
from tests.api.programs import Program, a_product, customer, sent, staff

PROBLEM = "application/problem+json"
MEMBERS = {"type", "title", "status", "detail", "instance", "request_id", "code", "errors"}
UNKNOWN = "1f0c1de2-9c1f-4b5e-8f3a-5d1c0a7b9e42"
SOME = {"number": "WB-00000000", "sku": "MUG-RED", "id": UNKNOWN, "call": UNKNOWN}
OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"

# address: what a key must carry to GET it, and to POST to it. An address that is not here fails the test.
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
EVERYBODY = "everybody"
MAY = {
    "products/": (EVERYBODY, None),
    "products/{sku}/": (EVERYBODY, None),
    "orders/": ("orders:read", "orders:write"),
    "orders/{number}/": ("orders:read", None),
    "orders/{number}/timeline/": ("orders:read", None),
    "orders/{number}/cancel/": (None, "orders:write"),
    "orders/{number}/refunds/": ("orders:read", "staff refunds:write"),
    "orders/{number}/shipments/": ("orders:read", "staff orders:write"),
    "orders/{number}/returns/": (None, "staff orders:write"),
    "deliveries/": ("staff events:read", None),
    "deliveries/retry/": (None, "staff deliveries:write"),
    "deliveries/{id}/": ("staff events:read", None),
    "deliveries/{id}/retry/": (None, "staff deliveries:write"),
    "deliveries/{id}/discard/": (None, "staff deliveries:write"),
    "events/": ("staff events:read", None),
    "events/{id}/": ("staff events:read", None),
    "accounts/": (None, "staff customers:write"),
    "uploads/": (None, "uploads:write"),
    "uploads/{id}/": ("uploads:write", None),
    "webhooks/": ("webhooks:write", "webhooks:write"),
    "webhooks/{id}/": ("webhooks:write", None),
    "webhooks/{id}/secret/": (None, "webhooks:write"),
    "webhooks/{id}/test/": (None, "webhooks:write"),
    "webhooks/{id}/deliveries/": ("webhooks:write", None),
    "webhooks/{id}/deliveries/{call}/resend/": (None, "webhooks:write"),
}
OTHERS = {
    "webhooks/{id}/": {"PATCH": "webhooks:write", "DELETE": "webhooks:write"},
    "uploads/{id}/": {"DELETE": "uploads:write"},
}


def addresses():
    """The API's addresses as the description writes them, from the URL patterns themselves."""
    for pattern in api_urls.urlpatterns:
        for inner in getattr(pattern, "url_patterns", [pattern]):
            yield re.sub(r"<uuid:(\w+)>|\(\?P<(\w+)>[^)]*\)", r"{\1\2}", str(inner.pattern)).strip("^$")


def example(address):
    return address.format(**SOME)


def refusal(answer, status):
    """The problem document, after a look at whether it is a whole one."""
    body = sent(answer)
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM), answer.content
    assert set(body) >= MEMBERS
    assert (body["status"], body["request_id"]) == (status, answer["X-Request-ID"])
    assert body["instance"] == f"urn:uuid:{body['request_id']}"
    return body


# -- Who may ----------------------------------------------------------------------------------


def test_every_address_says_who_may():
    assert set(addresses()) == set(MAY)


def status(program, method, address):
    return program.client.generic(method, f"/api/v1/{example(address)}").status_code


@pytest.mark.parametrize("address", MAY)
def test_an_address_knows_its_own_methods_only(db, address):
    program = Program(staff())
    reading, writing = MAY[address]

    known = {method for method in METHODS if status(program, method, address) != 405}

    usual = ({"GET", "HEAD"} if reading else set()) | ({"POST"} if writing else set())
    assert known == usual | OTHERS.get(address, {}).keys()


@pytest.mark.parametrize(
    ("method", "address", "needed"),
    [(method, address, may[n]) for address, may in MAY.items() for n, method in enumerate(["GET", "POST"]) if may[n]]
    + [(method, address, scope) for address, may in OTHERS.items() for method, scope in may.items()],
)
def test_an_address_answers_only_to_keys_that_may(db, method, address, needed):
    owner, boss, scope = customer(), staff(), needed.split()[-1]
    others = [name for name in SCOPES if name != scope]
    programs = {
        "nobody": Program(),
        "customer with it": Program(owner, [scope]),
        "customer with all others": Program(owner, others),
        "staff with it": Program(boss, [scope]),
        "staff with all others": Program(boss, others),
    }

    refused = {who: status(program, method, address) for who, program in programs.items()}
    refused = {who: code for who, code in refused.items() if code in (401, 403)}

    if needed == EVERYBODY:
        assert refused == {}
    else:
        lacking = {"nobody": 401, "customer with all others": 403, "staff with all others": 403}
        assert refused == lacking | ({"customer with it": 403} if needed.startswith("staff") else {})


def test_a_revoked_or_unknown_key_is_401_and_says_how_to_do_it(db):
    program = Program()

    for sent_as in ("Bearer wb_nonsense", "Bearer", "Bearer ", "bearer \xff", "Basic YTpi"):
        program.client.credentials(HTTP_AUTHORIZATION=sent_as)
        answer = program.get("orders/")
        refusal(answer, 401)
        assert answer["WWW-Authenticate"] == 'Bearer realm="Waybill"'


def test_a_session_opens_nothing(client, db):
    client.force_login(staff())

    assert client.get("/api/v1/orders/").status_code == 401


# -- How it refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "nothing/", "v1/", "v1/nothing/", "v1/orders/x/", "v1/events/1/", "v2/orders/"])
def test_an_unknown_address_is_404(db, path):
    answer = Program(staff()).client.generic("POST", f"/api/{path}", "{")

    assert refusal(answer, 404)["code"] == "not_found"


def test_an_address_without_its_slash_is_404_with_a_hint(db):
    answer = Program(staff()).client.post("/api/v1/orders", {}, format="json")

    assert refusal(answer, 404)["detail"] == "There is nothing here. Addresses of this API end with a slash."


def test_another_method_is_405_and_names_those_there_are(db):
    answer = Program(staff()).client.delete("/api/v1/orders/")

    assert refusal(answer, 405)["code"] == "method_not_allowed"
    assert {"GET", "POST"} <= set(answer["Allow"].split(", "))


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data", "text/xml", ""])
def test_a_body_that_is_not_json_is_415(db, content_type):
    answer = Program(staff()).client.generic(
        "POST", "/api/v1/accounts/", b"a=1", content_type=content_type, headers={"Idempotency-Key": "once"}
    )

    refusal(answer, 415)


@pytest.mark.parametrize("charset", ["base64", "rot13", "zlib", "idna", "utf-16", "no-such", '"utf-8"'])
def test_an_odd_charset_is_no_error_of_ours(transactional_db, charset):
    content_type = f"application/json; charset={charset}"
    environ = RequestFactory().generic("GET", "/api/v1/products/?limit=%C3%A4", content_type=content_type).environ
    said = []

    b"".join(application({**environ, "CONTENT_TYPE": content_type}, lambda status, headers: said.append(status)))

    assert said == ["200 OK"]


def test_a_client_that_does_not_take_json_is_406(db):
    answer = Program(staff()).get("orders/", Accept="text/html")

    refusal(answer, 406)


def test_a_failure_of_ours_says_its_id_and_nothing_else(db, monkeypatch):
    def broken(*_):
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(Products, "paginate_queryset", broken)

    answer = Program().get("products/")

    assert refusal(answer, 500)["code"] == "internal_error"
    assert b"hunter2" not in answer.content
    assert "RuntimeError" not in answer.content.decode()


def test_a_host_that_is_not_ours_is_400(db):
    answer = Program().client.get("/api/v1/products/", headers={"host": "evil.example"})

    refusal(answer, 400)


def test_a_page_of_the_shop_is_refused_as_a_page(client, db):
    answer = client.get("/no-such-page/")

    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_a_request_id_sent_by_the_client_is_not_believed(db):
    answer = Program().get("products/", **{"X-Request-ID": "mine"})

    assert answer["X-Request-ID"] != "mine"


def test_no_setting_of_the_site_reads_anything_but_json():
    assert site.REST_FRAMEWORK["DEFAULT_RENDERER_CLASSES"] == ["rest_framework.renderers.JSONRenderer"]
    assert site.REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"] == ["rest_framework.permissions.IsAuthenticated"]


# -- The description --------------------------------------------------------------------------


def test_the_committed_description_is_what_the_code_says(tmp_path):
    call_command("spectacular", file=str(tmp_path / "openapi.yaml"), validate=True, fail_on_warn=True)

    made = (tmp_path / "openapi.yaml").read_text()
    assert made == OPENAPI.read_text(), "run: manage.py spectacular --file docs/openapi.yaml"


def test_the_description_is_served_as_yaml_and_json(client):
    assert client.get("/api/schema/").content.startswith(b"openapi:")
    described = json.loads(client.get("/api/schema/?format=json").content)
    assert {path.removeprefix("/api/v1/") for path in described["paths"]} == set(MAY)


def test_the_examples_of_the_description_are_good_orders(transactional_db, client, bank):
    a_product()
    described = json.loads(client.get("/api/schema/?format=json").content)
    content = described["paths"]["/api/v1/orders/"]["post"]["requestBody"]["content"]["application/json"]
    program = Program(customer())

    statuses = {
        name: program.post("orders/", shown["value"], **{"Idempotency-Key": name}).status_code
        for name, shown in content["examples"].items()
    }

    assert statuses == {"ACardThatWorks": 201, "ACardThatIsDeclined": 402}


def test_every_name_of_an_address_can_be_reversed():
    names = {key for key in get_resolver(api_urls.__name__).reverse_dict if isinstance(key, str)}

    assert names >= {"orders", "order", "order_timeline", "deliveries", "events", "accounts", "products"}
