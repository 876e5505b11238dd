"""Demo data comes into an empty shop, and into no other."""

import json

import pytest
from django.core.management import call_command

from config import opening
from orders.management.commands import demo
from orders.models import Order, Product


@pytest.fixture
def called(monkeypatch):
    names = []
    monkeypatch.setattr(opening, "call_command", lambda name, **_: names.append(name))
    return names


@pytest.mark.parametrize(
    ("filled", "with_demo", "loads"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_the_demo_is_loaded_when_the_shop_is_empty(db, called, tmp_path, filled, with_demo, loads):
    if filled:
        Product.objects.create(sku="OWN", slug="own", name="Our own", price=100)

    opening.open_shop(tmp_path, with_demo=with_demo)

    assert called == ["demo"] * loads


def test_the_demo_tells_programs_what_is_there(transactional_db, bank, monkeypatch, capsys):
    monkeypatch.setattr(demo, "ORDERS", demo.ORDERS[:3])

    for _ in range(2):
        call_command("demo", "--json")

    facts, end = json.JSONDecoder().raw_decode(text := capsys.readouterr().out)
    assert json.loads(text[end:]) == facts
    assert (facts["products"]["MUG-RED"], facts["products"]["PRINT-A3"], facts["products"]["LAST-ONE"]) == (5000, 50, 1)
    assert facts["orders"] == dict(Order.objects.values_list("number", "status"))
    assert sorted(facts["orders"].values()) == ["declined", "paid", "paid"]
