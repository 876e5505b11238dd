"""`python -m tests.upgrade.before`: fills the database in DATABASE_URL as the first release left it.

It is migrated to the first migrations, and gets rows of that shape: orders paid, in payment and declined, and what the
events of that release were still to do. The bank's ledger in WAYBILL_DATA says of the charges what the orders say.
"""

import json
import os
import uuid
from pathlib import Path

import django

FIRST = [("orders", "0001_initial"), ("accounts", "0001_initial"), ("notifications", "0001_initial")]
ADDRESS = {"name": "Ada", "line1": "Quay 1", "line2": "", "postal_code": "1011", "city": "Hoorn", "country": "NL"}
ON_HAND, EACH, SHIPPING = 10, 1200, 490
TOTAL = EACH + SHIPPING


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection, transaction
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    executor.migrate(FIRST)
    with transaction.atomic():
        Before(executor.loader.project_state(FIRST).apps).fill()


class Before:
    """A shop of then, written by the tables of then."""

    def __init__(self, apps):
        from django.utils import timezone

        self.now = timezone.now()
        self._apps = apps

    def of(self, app, model):
        return self._apps.get_model(app, model).objects

    def fill(self):
        self.mug = self.of("orders", "Product").create(sku="MUG", slug="mug", name="A mug", price=EACH)
        self.moved(ON_HAND, reason="initial")
        paid = self.paid("paid@example.org", "sent")
        waits = self.paid("waits@example.org", "waits")
        self.declined("declined@example.org")
        self.in_payment("asks@example.org")
        self.letter(paid, "confirmation", state="sent")
        self.letter(waits, "shipping_notice", state="queued")
        self.people()
        sold, held = 2, 1
        self.of("orders", "Stock").create(product=self.mug, on_hand=ON_HAND - sold, reserved=held)

    def order(self, email, status, **facts):
        address, sums = {"shipping_method": "standard", "shipping_address": ADDRESS}, {"subtotal": EACH}
        order = self.of("orders", "Order").create(
            email=email,
            status=status,
            currency="EUR",
            shipping=SHIPPING,
            total=TOTAL,
            correlation_id=email,
            **address,
            **sums,
            **facts,
        )
        line = {"sku": "MUG", "name": "A mug", "unit_price": EACH, "quantity": 1, "total": EACH}
        self.of("orders", "OrderLine").create(order=order, product=self.mug, **line)
        self.step(order, "", "placed")
        return order

    def step(self, order, old, new):
        self.of("orders", "StatusChange").create(order=order, from_status=old, to_status=new, actor="system")

    def attempt(self, order, state, **facts):
        attempt = self.of("orders", "PaymentAttempt").create(
            id=uuid.uuid4(),
            order=order,
            state=state,
            amount=TOTAL,
            currency="EUR",
            payment_method="pm_card_visa",
            **facts,
        )
        told = {"order_id": order.pk, "attempt_id": str(attempt.pk), "total": TOTAL, "currency": "EUR"}
        placed = self.event("order.placed", told, order)
        in_flight = state == "in_flight"
        self.delivery(placed, "orders.settle_unanswered_payment", "ready" if in_flight else "done")
        return attempt

    def held(self, order, state):
        from datetime import timedelta

        hold = {"quantity": 1, "state": state, "expires_at": self.now + timedelta(minutes=15)}
        self.of("orders", "StockHold").create(order=order, product=self.mug, **hold)

    def moved(self, quantity, *, reason, order=None):
        self.of("orders", "StockMovement").create(
            product=self.mug, quantity=quantity, reason=reason, actor="system", order=order
        )

    def paid(self, email, letters):
        order = self.order(email, "paid", paid_at=self.now)
        self.step(order, "placed", "paid")
        attempt = self.attempt(order, "succeeded", gateway_id=f"pi_{order.pk}", finished_at=self.now)
        self.held(order, "sold")
        self.moved(-1, reason="sale", order=order)
        told = {"order_id": order.pk, "attempt_id": str(attempt.pk), "amount": TOTAL, "currency": "EUR"}
        received = self.event("payment.received", told, order)
        self.delivery(received, "orders.email_confirmation", "done" if letters == "sent" else "ready")
        self.delivery(received, "orders.notify_shipping", "done" if letters == "sent" else "ready")
        self.event("inventory.updated", {"order_id": order.pk, "skus": ["MUG"], "changes": [-1]}, order)
        _bank_took(attempt)
        return order

    def declined(self, email):
        order = self.order(email, "declined")
        self.step(order, "placed", "declined")
        attempt = self.attempt(order, "declined", finished_at=self.now, code="card_declined")
        self.held(order, "released")
        told = {"order_id": order.pk, "attempt_id": str(attempt.pk), "code": "card_declined"}
        failed = self.event("payment.failed", told, order)
        self.delivery(failed, "orders.email_payment_failed", "dead", finished_at=self.now, last_error="KeyError: 'x'")

    def in_payment(self, email):
        order = self.order(email, "placed")
        self.attempt(order, "in_flight")
        self.held(order, "held")

    def letter(self, order, name, *, state):
        letter = self.of("notifications", "Letter").create(
            once=f"old {name}:order:{order.pk}",
            template=f"orders/{name}",
            subject_ref=f"order:{order.pk}",
            correlation_id=order.correlation_id,
            to="old@example.org",
            subject=f"{name} {order.number}",
            text="Written before",
            html="<p>Written before</p>",
            message_id=f"<{order.pk}-{name}@example.org>",
            state=state,
            sent_at=self.now if state == "sent" else None,
        )
        queued = self.event("email.queued", {"letter_id": letter.pk, "template": letter.template}, order)
        self.delivery(queued, "notifications.send_letter", "done" if state == "sent" else "ready")

    def people(self):
        for email, handled in (("new@example.org", "ready"), ("reader@example.org", "done")):
            user = self.of("accounts", "User").create(email=email, name="Ada", password="!")
            told = {"user_id": user.pk, "newsletter": True}
            registered = self.event("user.registered", told, None, subject=f"user:{user.pk}", correlation_id=email)
            for handler in ("email_welcome", "make_profile", "enter_mailing_list"):
                self.delivery(registered, f"accounts.{handler}", handled)
            if handled == "done":
                self.of("accounts", "MailingListEntry").create(user=user, wants_newsletter=True)

    def event(self, name, payload, order, **facts):
        about = {"subject": f"order:{order.pk}", "correlation_id": order.correlation_id} if order else {}
        return self.of("notifications", "Event").create(
            uid=uuid.uuid4(), name=name, payload=payload, actor="system", **about, **facts
        )

    def delivery(self, event, handler, state, **facts):
        ended = {"finished_at": self.now, "attempt": 1} if state == "done" else {}
        self.of("notifications", "Delivery").create(
            uid=uuid.uuid4(), event=event, handler=handler, state=state, **ended | facts
        )


def _bank_took(attempt):
    line = {"kind": "charge", "key": str(attempt.pk), "reference": str(attempt.pk), "amount": TOTAL, "currency": "eur"}
    line |= {"at": "2026-11-22T20:00:00+00:00", "status": "succeeded", "id": attempt.gateway_id}
    with (Path(os.environ["WAYBILL_DATA"]) / "bank.jsonl").open("a") as ledger:
        ledger.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
