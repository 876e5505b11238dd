"""What must be true of the database before the shop opens: tables, demo data, and somebody who may log in.

Runs in the web process of a local shop, before it serves.
"""

import logging
import secrets
from pathlib import Path
from typing import Final

from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from accounts import keys
from accounts.models import ApiKey, User
from orders.models import Order, Product

STAFF_EMAIL: Final = "staff@waybill.example"
CUSTOMER_EMAIL: Final = "customer@waybill.example"
CUSTOMER_SCOPES: Final = ["orders:read", "orders:write"]
STAFF_SCOPES: Final = [
    *CUSTOMER_SCOPES,
    "refunds:write",
    "uploads:write",
    "events:read",
    "deliveries:write",
    "webhooks:write",
    "customers:write",
]


Logins = dict[str, dict[str, str]]


def open_shop(folder: Path, *, with_demo: bool) -> Logins:
    """Make the tables, the logins, and in an empty shop the demo data, each only where wanting.

    Returns the logins as up.json has them.
    """
    migrate()
    if with_demo and _is_empty():
        logging.disable(logging.WARNING)  # demo cards fail on purpose; that is no news to whoever opens the shop
        call_command("demo", verbosity=0, skip_checks=True)
        logging.disable(logging.NOTSET)
    return logins(folder)


def _is_empty() -> bool:
    """A shop with anything of its own is left as it is: what somebody took out does not come back at the next start."""
    return not (Product.objects.exists() or Order.objects.exists())


def migrate() -> None:
    """Bring the tables up to date. To ask whether they are costs a fraction of what the command does."""
    executor = MigrationExecutor(connections["default"])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)


def logins(folder: Path) -> Logins:
    """A staff login that works and two fresh API keys, which replace those of the start before.

    The password is made once and kept in `folder`; it is set again if it no longer fits.
    """
    password = _staff_password(folder)
    staff = _staff(password)
    customer = User.objects.filter(email=CUSTOMER_EMAIL).first() or User.objects.create_user(CUSTOMER_EMAIL)
    for known in (staff, customer):
        known.vouch_for_address()
    return {
        "staff": {"email": STAFF_EMAIL, "password": password},
        "api_keys": {
            "customer": _fresh_key(customer, "up customer", CUSTOMER_SCOPES),
            "staff": _fresh_key(staff, "up staff", STAFF_SCOPES),
        },
    }


def _staff_password(folder: Path) -> str:
    path = folder / "staff_password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(9))
    return path.read_text().strip()


def _staff(password: str) -> User:
    staff = User.objects.filter(email=STAFF_EMAIL).first()
    if staff is None:
        return User.objects.create_superuser(email=STAFF_EMAIL, password=password)
    if not staff.check_password(password):
        staff.set_password(password)
        staff.save(update_fields=["password"])
    return staff


def _fresh_key(user: User, name: str, scopes: list[str]) -> str:
    ApiKey.objects.filter(user=user, name=name).delete()
    _, plain_text = keys.issue(user=user, name=name, scopes=scopes)
    return plain_text
