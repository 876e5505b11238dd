"""Closing an account: at once for the person, and then part by part for what is known of them."""

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from accounts.models import ApiKey, User
from accounts.personal_data import addresses_of
from notifications import erased
from notifications.audit import log as audit
from notifications.personal_data import erasures
from notifications.personal_data.models import Erasure


class StaffStay(Exception):
    """Somebody with rights in the shop cannot close their account. An admin takes the rights away first."""


class ClosedBefore(Exception):
    """Somebody, in another tab or a moment ago, was faster."""


def close(*, user: User) -> Erasure:
    """Nobody can log in as `user` from now on, and all that we know of them is erased, afterwards and by itself.

    Raises StaffStay and ClosedBefore.
    """
    with transaction.atomic(durable=True):
        found = User.objects.select_for_update().get(pk=user.pk)
        if found.is_staff or found.is_superuser:
            raise StaffStay
        if not found.is_active:
            raise ClosedBefore
        erasure = erasures.begin(user_id=found.pk, addresses=addresses_of(found))
        me = f"user:{found.pk}"
        closed = {"email": erased.address(me), "name": "", "password": make_password(None), "is_active": False}
        User.objects.filter(pk=found.pk).update(**closed)
        ApiKey.objects.filter(user=found).delete()
        audit.record("account.closed", about=me)
    return erasure


def forget(*, email: str) -> Erasure:
    """The same for whoever has this address, also when they only bought as a guest. Raises as `close` does, and
    ValueError for what is no address.
    """
    if not _is_address(email):
        raise ValueError(f"{email[:100]} is no e-mail address.")
    found = User.objects.filter(email__iexact=email).first()
    # What is theirs needs a row to belong to, and this one has nothing in it a moment later.
    return close(user=found or User.objects.create_user(email))


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
