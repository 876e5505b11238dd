"""The core reads like a sequential program: what must not be in it is not in it, and the guards have teeth."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest
from django.db import connections, transaction

from notifications.pipeline.events import subscriptions
from orders import checkout
from orders.gateways import stripe
from orders.gateways.base import Charge
from tests.rig import CHECKOUT

APPS = ("config", "orders", "accounts", "uploads", "notifications")
LINT = Path(sys.executable).parent / "lint-imports"
CORE = "The core is sequential: no verb reaches Celery, DRF, a handler or mail"
ROOMS = "Inside orders: edges, verbs, words, nouns"
HOUSES = "Apps lie in layers"
VERBS = ("checkout", "recovery", "payments", "inventory", "idempotency", "pricing", "cart", "status", "events")

BREACHES = [
    ("orders/checkout.py", "import celery", CORE),
    ("orders/checkout.py", "from notifications.mail import letters", CORE),
    ("orders/checkout.py", "from orders import handlers", CORE),
    ("orders/payments.py", "from rest_framework import exceptions", CORE),
    ("orders/recovery.py", "from kombu import Queue", CORE),
    ("orders/inventory.py", "import smtplib", CORE),
    ("orders/events.py", "from notifications.pipeline import tasks", CORE),  # and tasks has Celery
    ("notifications/pipeline/events.py", "from notifications.pipeline import broker", CORE),
    ("orders/pricing.py", "from orders import checkout", ROOMS),
    ("orders/checkout.py", "from orders import timeline", ROOMS),
    ("notifications/correlation.py", "from accounts import models", HOUSES),
    ("accounts/registration.py", "from orders import models", HOUSES),
]


# -- who imports whom -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The tree again, to be spoilt."""
    folder = tmp_path_factory.mktemp("copy")
    for app in APPS:
        shutil.copytree(CHECKOUT / app, folder / app, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    return folder


def lint(folder):
    return subprocess.run([LINT], cwd=folder, capture_output=True, text=True)


def test_the_contracts_hold_as_the_code_is(copy):
    answer = lint(copy)

    assert answer.returncode == 0, answer.stdout[-3000:]
    written = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"{len(written)} kept, 0 broken" in answer.stdout


@pytest.mark.parametrize(("file", "line", "contract"), BREACHES, ids=lambda value: str(value).split(":")[0])
def test_a_forbidden_import_turns_its_contract_red(copy, file, line, contract):
    victim = copy / file
    as_it_was = victim.read_text()
    victim.write_text(f"{as_it_was}\n{line}\n")
    try:
        answer = lint(copy)
    finally:
        victim.write_text(as_it_was)

    assert answer.returncode == 1
    assert f"{contract} BROKEN" in " ".join(answer.stdout.split())


def test_no_verb_reaches_djangos_own_mail():
    reachable = {f"orders.{verb}" for verb in VERBS}
    graph = grimp.build_graph(*APPS, cache_dir=None)
    for verb in list(reachable):
        reachable |= graph.find_upstream_modules(verb)

    guilty = [name for name in reachable if imports_mail(source_of(name).read_text())]

    assert len(reachable) > len(VERBS)
    assert guilty == []


def test_the_search_for_djangos_mail_finds_every_spelling():
    for line in ("import django.core.mail", "from django.core.mail import send_mail", "from django.core import mail"):
        assert imports_mail(line)
    assert imports_mail(source_of("notifications.mail.letters").read_text())


def source_of(name):
    path = CHECKOUT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports_mail(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import) and any(alias.name.startswith("django.core.mail") for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            if any(name.startswith("django.core.mail") for name in full):
                return True
    return False


# -- who says "paid" --------------------------------------------------------------------------

READERS = {"filter", "exclude", "get", "Q", "When", "isinstance", "CheckConstraint", "UniqueConstraint"}


def test_only_settle_says_paid():
    said = {(str(path.relative_to(CHECKOUT)), where) for path in sources() for where in says_paid(path.read_text())}

    assert said == {("orders/payments.py", "_secured")}
    payments = (CHECKOUT / "orders/payments.py").read_text()
    inner = {"_secured": {"_settle_open", "_succeed_late"}, "_settle_open": {"apply"}, "_succeed_late": {"apply"}}
    assert {name: callers(payments, name) for name in inner} == inner
    others = {str(path.relative_to(CHECKOUT)): path.read_text() for path in sources() if path.name != "payments.py"}
    assert not [name for name, text in others.items() if any(private in text for private in inner)]
    outside = {name for name, text in others.items() if re.search(r"orders\.payments import .*\bapply\b", text)}
    assert outside == {"orders/intake.py"}


@pytest.mark.parametrize(
    "line",
    [
        "order.status = Order.Status.PAID",
        "order.status = 'paid'",
        "move(order, Order.Status.PAID)",
        "move(order, to=Order.Status.PAID)",
        "Order.objects.filter(pk=1).update(status='paid')",
        "Order.objects.create(status=S.PAID)",
        "setattr(order, 'status', S.PAID)",
        "cursor.execute(\"UPDATE orders_order SET status = 'paid'\")",
    ],
)
def test_the_search_for_paid_finds_every_way_of_saying_it(line):
    assert says_paid(f"def f():\n    {line}\n") == {"f"}


def test_the_search_for_paid_leaves_questions_alone():
    asked = "def f():\n    Order.objects.filter(status=S.PAID)\n    return order.status == Order.Status.PAID\n"

    assert says_paid(asked) == set()


def sources():
    found = (path for app in APPS for path in (CHECKOUT / app).rglob("*.py"))
    return [path for path in found if "migrations" not in path.parts]


def says_paid(text):
    """The functions (or "") in which something is set to paid."""
    tree = ast.parse(text)
    return {owner for owner, node in owned(tree, "") if sets_paid(node)}


def owned(node, owner):
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef) else owner
        yield inner, child
        yield from owned(child, inner)


def sets_paid(node):
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return is_paid(node.value) and any(isinstance(t, ast.Attribute) and t.attr == "status" for t in targets)
    if not isinstance(node, ast.Call) or called(node) in READERS:
        return False
    if called(node) in ("move", "setattr"):
        return any(is_paid(value) for value in [*node.args, *(keyword.value for keyword in node.keywords)])
    if called(node) == "execute":
        return any(isinstance(a, ast.Constant) and "'paid'" in str(a.value) for a in node.args)
    return any(keyword.arg in ("status", "to_status") and is_paid(keyword.value) for keyword in node.keywords)


def is_paid(value):
    return (isinstance(value, ast.Attribute) and value.attr == "PAID") or (
        isinstance(value, ast.Constant) and value.value == "paid"
    )


def called(node):
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "")


def callers(text, name):
    return {owner for owner, node in owned(ast.parse(text), "") if isinstance(node, ast.Call) and called(node) == name}


# -- no transaction while the bank is asked ---------------------------------------------------

CHARGE = Charge(
    reference="7a4c0a0e-0000-4000-8000-000000000000",
    amount=100,
    currency="EUR",
    payment_method="pm_card_visa",
    order_number="WB-TEST0000",
    email="a@example.com",
)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ask", [stripe.charge, stripe.find, stripe.cancel])
def test_the_gateway_refuses_to_be_asked_inside_a_transaction(ask):
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        ask(CHARGE)


@pytest.mark.django_db
def test_an_order_cannot_be_placed_inside_somebody_elses_transaction():
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        checkout._place(None, None, "", "", None, None)


def test_no_request_is_one_transaction():
    assert not any(connection.settings_dict["ATOMIC_REQUESTS"] for connection in connections.all())


def test_handlers_that_ask_the_bank_open_no_transaction():
    asking = {name: found for name, found in subscriptions.items() if asks_the_bank(found.function)}

    assert {"orders.ask_gateway", "orders.settle_unanswered_payment"} <= set(asking)
    assert not any(found.atomic for found in asking.values())


def asks_the_bank(function):
    return bool({"recovery", "stripe", "place_order"} & set(function.__code__.co_names))
