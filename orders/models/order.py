import json
import secrets
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

if TYPE_CHECKING:
    from orders.models.payment import PaymentAttempt

# Crockford's base 32: no I, L, O or U to be misread from a label.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


# A late success of a lost order must find room beside the order that took its place.
CART_IS_FREE = ("declined", "expired", "cancelled", "refund_due", "refunded")


def new_number() -> str:
    """A public order number that says nothing of its neighbours: 40 random bits."""
    return "WB-" + "".join(secrets.choice(ALPHABET) for _ in range(8))


class OrderQuerySet(models.QuerySet["Order"]):
    def of(self, user_id: int) -> Self:
        return self.filter(user_id=user_id)

    def of_cart(self, token: str) -> Self:
        """The one order that this cart became, unless it ended with nothing bought: then the cart is free again."""
        return self.filter(cart_token=token).exclude(status__in=CART_IS_FREE)


class Order(models.Model):
    """What somebody asked for, at the prices of that moment. Amounts are minor units of `currency`."""

    class Status(models.TextChoices):
        PLACED = "placed"
        PAID = "paid"
        PARTLY_SHIPPED = "partly_shipped"
        SHIPPED = "shipped"
        COMPLETED = "completed"
        DECLINED = "declined"
        EXPIRED = "expired"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"
        REFUND_DUE = "refund_due"

    number = models.CharField(max_length=20, unique=True, default=new_number)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="orders")
    email = models.EmailField(max_length=254)
    status = models.CharField(max_length=15, choices=Status, default=Status.PLACED)
    currency = models.CharField(max_length=3)
    subtotal = models.PositiveIntegerField()
    shipping = models.PositiveIntegerField()
    tax = models.PositiveIntegerField(default=0, help_text="Added on top of the prices.")
    tax_included = models.PositiveIntegerField(default=0, help_text="Contained in the prices.")
    discount = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField()
    shipping_method = models.CharField(max_length=30)
    shipping_address = models.JSONField()
    voucher_code = models.CharField(max_length=40, blank=True)
    cart_token = models.CharField(max_length=64, null=True)
    cancel_wanted_at = models.DateTimeField(null=True, help_text="When somebody wanted it cancelled during payment.")
    cancel_reason = models.CharField(max_length=200, blank=True)
    serial = models.PositiveIntegerField(null=True, unique=True, help_text="Taken at confirmation; has no gaps.")
    correlation_id = models.CharField(max_length=64, db_index=True)
    placed_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="order_total_adds_up",
                condition=Q(total=F("subtotal") + F("shipping") + F("tax") - F("discount"), total__gt=0),
            ),
            models.CheckConstraint(
                name="order_status_known",
                condition=Q(
                    status__in=[
                        "placed", "paid", "partly_shipped", "shipped", "completed",
                        "declined", "expired", "cancelled", "refunded", "refund_due",
                    ]
                ),
            ),
            models.CheckConstraint(
                name="order_paid_says_when",
                condition=Q(paid_at__isnull=False) | ~Q(status__in=["paid", "partly_shipped", "shipped", "completed"]),
            ),
            models.UniqueConstraint(
                name="order_once_per_cart",
                fields=["cart_token"],
                condition=~Q(status__in=list(CART_IS_FREE)),
            ),
            models.CheckConstraint(
                name="order_paid_has_serial", condition=Q(paid_at=None, serial=None) | Q(paid_at__isnull=False)
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["-placed_at"], name="order_recent"),
            models.Index(fields=["email"], name="order_email"),
        ]
        permissions = [
            ("refund_order", "Can give money of an order back"),
            ("ship_order", "Can ship an order"),
            ("cancel_order", "Can cancel an order"),
            ("return_order", "Can take goods of an order back"),
            ("edit_order", "Can change the lines of an order"),
        ]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("orders:order", args=[self.number])

    @property
    def last_attempt(self) -> "PaymentAttempt | None":
        """The newest attempt to pay for the order itself, not for a later change of it; reads prefetched attempts."""
        of_the_order = (attempt for attempt in self.attempts.all() if attempt.purpose == attempt.Purpose.ORDER)
        return max(of_the_order, key=lambda attempt: attempt.started_at, default=None)

    @property
    def payment_status(self) -> str:
        """`pending` (the bank is being asked), `checking` (it did not answer), or how it ended."""
        attempt = self.last_attempt
        return attempt.as_payment_status if attempt else "pending"


class OrderLine(models.Model):
    """One product of an order, with name and price as sold."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey("orders.Product", on_delete=models.PROTECT, related_name="+")
    sku = models.CharField("SKU", max_length=40)
    name = models.CharField(max_length=120)
    unit_price = models.PositiveIntegerField()
    quantity = models.PositiveIntegerField()
    total = models.PositiveIntegerField()
    discount = models.PositiveIntegerField(default=0, help_text="This line's part of the order's discount.")
    tax_rate = models.PositiveIntegerField(default=0, help_text="In hundredths of a per cent: 2100 is 21 %.")
    tax = models.PositiveIntegerField(default=0, help_text="On top or contained, as the order says.")
    # Units of `quantity`, each counted where it has been.
    shipped = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0, help_text="Taken out before they were shipped.")
    returned = models.PositiveIntegerField(default=0, help_text="Came back after they were shipped.")
    refunded = models.PositiveIntegerField(default=0)
    restocked = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="line_once_per_product", fields=["order", "product"]),
            models.CheckConstraint(
                name="line_units_known",
                condition=Q(
                    quantity__gte=F("shipped") + F("cancelled"),
                    returned__lte=F("shipped"),
                    refunded__lte=F("quantity"),
                    restocked__lte=F("cancelled") + F("returned"),
                ),
            ),
            models.CheckConstraint(name="line_discount_within_total", condition=Q(discount__lte=F("total"))),
            models.CheckConstraint(
                name="line_total_adds_up", condition=Q(total=F("unit_price") * F("quantity"), quantity__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"

    @property
    def shippable(self) -> int:
        """Units that still have to leave the house."""
        return self.quantity - self.shipped - self.cancelled


class StatusChange(models.Model):
    """Who moved an order from where to where, and when. Append-only."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=15, blank=True)
    to_status = models.CharField(max_length=15, choices=Order.Status)
    actor = models.CharField(max_length=100)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.from_status or 'new'} → {self.to_status}"


class IdempotencyKey(models.Model):
    """A client's promise that this is one request, however often it arrives.

    What the request made (`order`, or the row that `made` names) is committed with the key; `status_code` and
    `body` follow once the answer is final. Until `lease_until` the first request is taken to be at work; after that,
    whoever repeats it finishes it.
    """

    scope = models.CharField(max_length=100)
    key = models.CharField(max_length=64)
    request_hash = models.CharField(max_length=64)
    order = models.ForeignKey(Order, null=True, on_delete=models.CASCADE, related_name="idempotency_keys")
    made = models.TextField(blank=True, help_text="As shipment:7 or refund:UUID; many UUIDs for many payments.")
    lease_until = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(null=True, help_text="JSON, as it was written: PostgreSQL would sort a document's names.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="idempotency_once", fields=["scope", "key"]),
            models.CheckConstraint(
                name="idempotency_answer_is_whole",
                condition=Q(status_code=None, body=None) | Q(status_code__isnull=False, body__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope}/{self.key}"

    @property
    def answer(self) -> Any:
        """What the client was answered; None before that."""
        return json.loads(self.body or "null")
