"""The address book: one of the addresses is what checkout begins with."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.models import Address, User
from accounts.postal import ADDRESS_FIELDS

MOST: Final = 20


class TooManyAddresses(Exception):
    """Nothing was kept."""

    def __init__(self) -> None:
        super().__init__(f"{MOST} addresses are the most. Delete one that you no longer use.")


def of(user: User) -> list[Address]:
    """The default first, then the newest."""
    return list(Address.objects.filter(user=user).order_by("-is_default", "-pk"))


def add(*, user: User, fields: Mapping[str, str]) -> Address:
    """Keep one more; the first is the default. Raises TooManyAddresses past 20."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # one at a time: they are counted
        known = Address.objects.filter(user=user).count()
        if known >= MOST:
            raise TooManyAddresses
        return Address.objects.create(user=user, is_default=not known, **fields)


def change(address: Address, *, fields: Mapping[str, str]) -> None:
    """Orders that went to the old one keep it."""
    Address.objects.filter(pk=address.pk).update(**fields)


def make_default(address: Address) -> None:
    with transaction.atomic():
        User.objects.select_for_update().get(pk=address.user_id)
        Address.objects.filter(user=address.user_id, is_default=True).update(is_default=False)
        Address.objects.filter(pk=address.pk).update(is_default=True)


def remove(address: Address) -> None:
    """The newest of the others takes the place of a default."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=address.user_id)
        Address.objects.filter(pk=address.pk).delete()
        others = Address.objects.filter(user=address.user_id)
        if not others.filter(is_default=True).exists():
            newest = others.order_by("-pk").values_list("pk", flat=True)[:1]
            Address.objects.filter(pk__in=list(newest)).update(is_default=True)


def prefilled(user: User, *, chosen: UUID | None) -> dict[str, str]:
    """What checkout's fields begin with: the chosen address of this person, or the default; nothing without one."""
    own = of(user)
    found = next((address for address in own if address.uid == chosen), own[0] if own else None)
    return {name: getattr(found, name) for name in ADDRESS_FIELDS} if found else {}
