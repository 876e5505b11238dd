"""What an API key may see and do; rows fetched so that any number of them costs the same few queries."""

from typing import Any, Final

from django.db.models import Prefetch, Value
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts.models import User
from notifications.api.scopes import HasScope, IsStaffWithScope
from orders.models import Order, OrderLine, PaymentAttempt, Product
from orders.models.catalog import ProductQuerySet
from orders.models.order import OrderQuerySet
from orders.offers import sold_in

SEE_ALL: Final = "orders.view_order"
NOT_ALLOWED: Final = "The owner of this key may not do this."


class StaffDecide(HasScope):
    """As HasScope, and only keys of staff may change anything, as far as their owner may: `right` of the view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return super().has_permission(request, view)
        decide = IsStaffWithScope()
        allowed = decide.has_permission(request, view)
        self.message = getattr(decide, "message", "") if not allowed else NOT_ALLOWED
        return allowed and request.user.has_perm(view.right)


def for_answers() -> OrderQuerySet:
    """Orders with all that their answers tell of."""
    lines = OrderLine.objects.order_by("pk").select_related("order")
    return Order.objects.prefetch_related(Prefetch("lines", queryset=lines), "attempts")


def as_it_is(order: Order) -> Order:
    """An order with all that its answers tell of, as it is now.

    Its payments are read after its own row: where one has come to its end in between, the row is read again.
    """
    now = for_answers().get(pk=order.pk)
    attempt = now.last_attempt
    if now.status == Order.Status.PLACED and attempt is not None and attempt.state not in PaymentAttempt.OPEN:
        now = for_answers().get(pk=order.pk)
    return now


def orders_of(user: User) -> OrderQuerySet:
    """Staff who may look at orders see every one, others their own; the rest does not exist for them."""
    sees_all = user.is_staff and user.has_perm(SEE_ALL)
    return for_answers() if sees_all else for_answers().of(user.pk)


def may_cancel(user: User, order: Order) -> bool:
    """A customer their own; staff whichever they see, when they have the right."""
    return order.user_id == user.pk or user.has_perm("orders.cancel_order")


def products(*, currency: str) -> ProductQuerySet:
    """What has a place on the shelf, be it empty, each with its price in this currency."""
    on_shelf = Product.objects.active().filter(stock__isnull=False).select_related("stock")
    priced: ProductQuerySet = sold_in(on_shelf, currency=currency).annotate(asked_currency=Value(currency))
    return priced
