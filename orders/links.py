"""Who may open an order: its buyer, staff, or whoever holds the signed link from the mail."""

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from orders.models import Order

_signer = Signer(salt="order")


def guest_path(order: Order) -> str:
    """The order's page on this site, with the key that lets a guest in."""
    return f"{reverse('orders:order', args=[order.number])}?key={_signer.signature(order.number)}"


def guest_link(order: Order) -> str:
    """The same as an absolute address, for mails."""
    return settings.SITE_URL + guest_path(order)


def key_opens(key: str, *, number: str) -> bool:
    """Whether a link's key was signed for this very order. Compared in constant time."""
    try:
        return _signer.unsign(f"{number}{_signer.sep}{key}") == number
    except BadSignature:
        return False


def may_see(order: Order, *, user: AbstractBaseUser | AnonymousUser, key: str) -> bool:
    """Whether this visitor is the buyer, came by the signed link, or is of the staff and may look at orders."""
    # The key first: it needs no session, and the page that asks every second has one.
    if key_opens(key, number=order.number):
        return True
    if order.user_id is not None and order.user_id == user.pk:
        return True
    return bool(getattr(user, "is_staff", False)) and user.has_perm("orders.view_order")  # type: ignore[union-attr]


def may_cancel(order: Order, *, user: AbstractBaseUser | AnonymousUser, key: str) -> bool:
    """Whether this visitor may decide as the buyer. Staff may only look here: they have buttons, and permissions."""
    if key_opens(key, number=order.number):
        return True
    return order.user_id is not None and order.user_id == user.pk
