"""A handler has a new name: what waits under the old one gets it, so that a pause, a filter, a line mean all of it."""

from django.db import transaction
from django.db.models import Exists, OuterRef

from notifications.pipeline.events import aliases
from notifications.pipeline.models import Brake, Delivery

State = Delivery.State


def rename_open() -> int:
    """Returns how many deliveries. What runs keeps its name, and so does the line that waits for it; next time then."""
    return sum(_rename(old, new) for old, new in aliases.items())


def _rename(old: str, new: str) -> int:
    twin = Delivery.objects.filter(event=OuterRef("event"), handler=new)
    before_it = Delivery.objects.running().filter(handler=old, order_key=OuterRef("order_key"))
    mine = Delivery.objects.open(State.READY, State.WAITING, State.DEAD).filter(handler=old)
    with transaction.atomic(durable=True):
        if not Brake.objects.filter(handler=new).exists():
            Brake.objects.filter(handler=old).update(handler=new)
        return mine.filter(~Exists(twin), ~Exists(before_it)).update(handler=new)
