"""Why an order is as it is, and what happens next by itself: for staff, and for programs."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from notifications.pipeline.events import subject_of
from notifications.pipeline.models import Delivery
from orders.fulfilment import COMPLETE_AFTER
from orders.models import Order, OrderEdit, PaymentAttempt, Refund
from orders.recovery import ASKERS, TIME_TO_APPROVE
from orders.templatetags.shop import money

S, State = Order.Status, PaymentAttempt.State
_CARRIERS_OUT = ("orders.carry_out_refund",)


def why(order: Order) -> str:
    """The state of an order in a sentence or some: what led to it, and what happens next by itself, if anything."""
    told = [_of_status(order), *_of_edits(order), *_of_refunds(order)]
    return " ".join(filter(None, told))


def _of_status(order: Order) -> str:
    match order.status:
        case S.PLACED:
            return _of_payment(order)
        case S.PAID if _held(order):
            return _("The bank holds the money for us; it is taken when staff ship the first parcel.")
        case S.PAID:
            return _("It is paid, and waits for staff to pack and ship it.")
        case S.PARTLY_SHIPPED | S.SHIPPED:
            return _of_parcels(order)
        case S.COMPLETED:
            return _("All of it was shipped, and the time to send it back is over. Nothing more happens by itself.")
        case _:
            return _of_end(order)


def _held(order: Order) -> bool:
    return any(attempt.state == State.AUTHORIZED for attempt in order.attempts.all())


# -- while it is being paid -------------------------------------------------------------------


def _of_payment(order: Order) -> str:
    attempt = order.last_attempt
    if order.cancel_wanted_at is not None:
        told = _("It was called off during its payment. We ask the bank to stop it; money that comes first goes back.")
        return f"{told}{_next(order, ASKERS)}"
    match attempt and attempt.state:
        case State.REQUIRES_ACTION if attempt is not None:
            until = _time(attempt.started_at + TIME_TO_APPROVE)
            told = _("The buyer's bank waits for the buyer to approve the payment. It is called off after %(until)s.")
            return told % {"until": until}
        case State.UNKNOWN:
            told = _("The bank has not told us whether it took the money. It is asked until it does.")
            return f"{told}{_next(order, ASKERS)}"
        case _:
            return _("The bank is being asked for the money. Without an answer, we ask what became of it.")


def _next(order: Order, handlers: tuple[str, ...]) -> str:
    waiting = Delivery.objects.filter(
        handler__in=handlers, event__subject=subject_of(order), state=Delivery.State.READY
    ).order_by("available_at")
    first = waiting.values_list("available_at", flat=True).first()
    return " " + _("The next time is %(at)s.") % {"at": _time(first)} if first else ""


# -- after it was paid ------------------------------------------------------------------------


def _of_parcels(order: Order) -> str:
    lines = list(order.lines.all())
    left = sum(line.shippable for line in lines)
    if left:
        facts = {"sent": sum(line.shipped for line in lines), "left": left}
        return _("Shipped: %(sent)s. Waiting for staff to ship them: %(left)s.") % facts
    changes = [change.at for change in order.status_changes.all() if change.to_status == S.SHIPPED]
    if not changes:
        return _("All of it was shipped.")
    end = {"on": _day(max(changes) + COMPLETE_AFTER)}
    return _("All of it was shipped. It is called completed on %(on)s by itself.") % end


def _of_edits(order: Order) -> Iterator[str]:
    if any(edit.state == OrderEdit.State.PENDING for edit in order.edits.all()):
        yield _("A change of it waits for the bank to take the difference; until then it cannot be shipped.")


def _of_refunds(order: Order) -> Iterator[str]:
    refunds = list(order.refunds.all())
    for refund in refunds:
        if refund.state in Refund.OPEN:
            facts = {"money": money(refund.amount, refund.currency)}
            told = _("%(money)s is on its way back: the bank is asked until it is done.") % facts
            yield f"{told}{_next(order, _CARRIERS_OUT)}"
    failed = [refund for refund in refunds if refund.state == Refund.State.FAILED]
    if failed and (order.status == S.REFUND_DUE or refunds[-1] in failed):
        last = {"money": money(failed[-1].amount, failed[-1].currency), "code": failed[-1].code}
        yield _("%(money)s could not be given back (%(code)s): staff must try again or find another way.") % last


# -- when it ended otherwise ------------------------------------------------------------------


def _of_end(order: Order) -> str:
    attempt = order.last_attempt
    match order.status:
        case S.DECLINED if attempt is not None and attempt.state == State.MISMATCH:
            return _("The bank held another amount than was agreed. It was let go, and nothing was charged.")
        case S.DECLINED:
            facts = {"code": (attempt and attempt.code) or "card_declined"}
            return (
                _("The bank declined the card (%(code)s). Nothing was charged; the goods are for sale again.") % facts
            )
        case S.EXPIRED if order.paid_at is not None:
            return _("The bank let go of the money before it was taken. Nothing was charged or shipped.")
        case S.EXPIRED:
            return _("The payment was not finished in time, so it was called off. Nothing was charged.")
        case S.CANCELLED:
            return _of_cancelled(order)
        case S.REFUND_DUE:
            return _("All of the money is to go back: %(reason)s.") % {"reason": _reason(order, S.REFUND_DUE)}
        case _:
            return _("All of the money went back: %(reason)s. Nothing more happens by itself.") % {
                "reason": _reason(order, S.REFUND_DUE)
            }


def _of_cancelled(order: Order) -> str:
    told = _("It was cancelled: %(reason)s.") % {"reason": _reason(order, S.CANCELLED)}
    if _held(order):
        let_go = _("The bank is asked to let go of the money it holds.")
        return f"{told} {let_go}{_next(order, ASKERS)}"
    if not any(attempt.captured for attempt in order.attempts.all()):
        nothing = _("Nothing was charged.")
        return f"{told} {nothing}"
    return told


def _reason(order: Order, status: Order.Status) -> str:
    given = [change.reason for change in order.status_changes.all() if change.to_status == status and change.reason]
    return given[-1] if given else _("no reason was given")


def _time(moment: datetime) -> str:
    soon = abs(moment - timezone.now()) < timedelta(hours=20)
    return date_format(timezone.localtime(moment), "H:i" if soon else "Y-m-d H:i")


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "Y-m-d")
