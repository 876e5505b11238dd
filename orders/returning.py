"""A buyer asks to send things back, with words and pictures. What staff then do is in `fulfilment.take_back`."""

from collections.abc import Sequence
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from notifications import correlation
from notifications.audit import log as audit
from notifications.pipeline.events import publish
from orders.events import ReturnDeclined, ReturnRequested
from orders.models import Order, ReturnPicture, ReturnRequest
from orders.refunds import BadUnits, Units, merged

LONGEST_WORDS: Final = 1000  # characters
MOST_PICTURES: Final = 8

State = ReturnRequest.State


class AlreadyAsked(Exception):
    """This order has a request that staff have not answered yet."""


class AlreadyAnswered(Exception):
    """The goods came back, or somebody has said no before."""


def can_be_sent_back(order: Order) -> bool:
    """By its buyer: something has left us, and not come back."""
    return any(line.shipped > line.returned for line in order.lines.all())


def open_request(order: Order) -> ReturnRequest | None:
    return next((one for one in order.return_requests.all() if one.state == State.OPEN), None)


def ask(*, order: Order, lines: Sequence[Units], words: str, pictures: Sequence[Any] = ()) -> ReturnRequest:
    """Write down that the buyer wants to send these units back, and tell the house.

    pictures: uploads of the buyer. Raises BadUnits for more than was shipped, AlreadyAsked while one is open.
    """
    rows = {line.sku: line for line in order.lines.all()}
    for units in merged(lines):
        line = rows.get(units.sku)
        left = line.shipped - line.returned if line else 0
        if not 1 <= units.quantity <= left:
            raise BadUnits(units.sku, wanted=units.quantity, left=left)
    try:
        return _write_down(order, merged(lines), words, pictures)
    except IntegrityError as error:
        raise AlreadyAsked(str(order)) from error


def _write_down(order: Order, lines: Sequence[Units], words: str, pictures: Sequence[Any]) -> ReturnRequest:
    with transaction.atomic(durable=True):
        made = ReturnRequest.objects.create(
            order=order,
            units=[[one.sku, one.quantity] for one in lines],
            words=words[:LONGEST_WORDS],
            actor=correlation.actor(),
        )
        ReturnPicture.objects.bulk_create([ReturnPicture(request=made, upload=one) for one in pictures])
        publish(ReturnRequested(order_id=order.pk, request_id=made.pk), about=order)
    return made


def decline(*, request: ReturnRequest, answer: str) -> None:
    """Say no, and tell the buyer why. Raises AlreadyAnswered."""
    with transaction.atomic(durable=True):
        ended = {"state": State.DECLINED, "answer": answer[:200], "finished_at": timezone.now()}
        if not ReturnRequest.objects.filter(pk=request.pk, state=State.OPEN).update(**ended):
            raise AlreadyAnswered("The request has been answered before.")
        audit.decided("return.decline", about=request.order, after={"request": request.pk})
        publish(ReturnDeclined(order_id=request.order_id, request_id=request.pk), about=request.order)
