"""Which rows an API key may see, fetched so that any number of them costs the same few queries."""

from django.db.models import Prefetch

from accounts.models import User
from orders.models import Order, OrderLine, Product
from orders.models.catalog import ProductQuerySet
from orders.models.order import OrderQuerySet


def for_answers() -> OrderQuerySet:
    """Orders with all that their answers tell of."""
    lines = OrderLine.objects.order_by("pk").select_related("order")
    return Order.objects.prefetch_related(Prefetch("lines", queryset=lines), "attempts")


def orders_of(user: User) -> OrderQuerySet:
    """Staff see every order, others their own; the rest does not exist for them."""
    return for_answers() if user.is_staff else for_answers().of(user.pk)


def products() -> ProductQuerySet:
    """What has a place on the shelf, be it empty."""
    return Product.objects.active().filter(stock__isnull=False).select_related("stock")
