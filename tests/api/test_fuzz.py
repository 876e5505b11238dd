"""Every operation with whatever its description allows, and more: no error of ours, no answer it does not describe.

In-process, over the WSGI application as a server would run it, with the real bank behind it.
"""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.wsgi import application
from notifications.pipeline.models import Delivery, Event
from orders.models import Order
from tests.api.programs import ADDRESS, Program, a_product, staff

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
described = schemathesis.openapi.from_path(Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml")
described.app = application
described.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@pytest.fixture
def shop(transactional_db, bank):
    """A shop with something in it, and a program that may do everything."""
    a_product(units=10_000)
    program = Program(staff())
    assert program.order().status_code == 201
    Delivery.objects.filter(handler="orders.email_confirmation").update(state=Delivery.State.DEAD)
    return program


def something_real(case):
    """The same request, but about what is there."""
    delivery = Delivery.objects.order_by("?").first()
    real = {"sku": "MUG-RED", "number": Order.objects.first().number, "id": str(delivery.uid)}
    if "/events/" in case.operation.path:
        real["id"] = str(Event.objects.first().uid)
    case.path_parameters.update({name: real[name] for name in case.path_parameters if name in real})
    if case.operation.path == "/api/v1/orders/" and isinstance(case.body, dict):
        good = {"items": [{"sku": "MUG-RED", "quantity": 1}], "payment_method": "pm_card_visa", "voucher": ""}
        case.body.update(good, shipping_address=ADDRESS, email="ada@example.org")
    return case


@described.parametrize()
@settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_one_of_those_described(case, shop):
    key = shop.client._credentials["HTTP_AUTHORIZATION"]

    case.call_and_validate(headers={"Authorization": key}, checks=CHECKS)
    something_real(case).call_and_validate(headers={"Authorization": key}, checks=CHECKS)
