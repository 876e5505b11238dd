"""What the shop keeps of a person, and what is left of an order when its buyer is forgotten.

Kept, because tax law asks for it: numbers, dates, lines, prices, tax and its rate, currency, the country that the tax
depends on, payments and refunds with their ids at the bank, invoices and credit notes. An order on its way keeps its
address until it has arrived or ended otherwise.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from notifications import erased
from notifications.personal_data.registry import Person, Row, register
from notifications.pipeline.events import subject_of
from notifications.pipeline.retries import RetryLater
from orders.models import (
    Difference,
    GatewayEvent,
    IdempotencyKey,
    Order,
    OrderEdit,
    PaymentAttempt,
    Refund,
    ReturnRequest,
    Shipment,
    StatusChange,
    StockMovement,
    VoucherUse,
)

S = Order.Status
# Nothing has to be sent, and nobody has to be written to, to end them.
ENDED: Final = (S.SHIPPED, S.COMPLETED, S.DECLINED, S.EXPIRED, S.CANCELLED, S.REFUNDED)
ASK_AGAIN: Final = timedelta(hours=1)
GONE: Final = "erased"
NO_ANSWER: Final = "null"


def orders_of(person: Person) -> QuerySet[Order]:
    """Theirs, and those they placed as a guest with an address of theirs."""
    as_guest = Q(pk__in=[])
    for address in person.addresses:
        as_guest |= Q(user=None, email__iexact=address, placed_at__lte=person.until)
    return Order.objects.filter(Q(user_id=person.user_id) | as_guest)


def ended(orders: QuerySet[Order]) -> QuerySet[Order]:
    asked = PaymentAttempt.objects.open().filter(order=OuterRef("pk"))
    on_its_way = Refund.objects.open().filter(order=OuterRef("pk"))
    return orders.filter(~Exists(asked), ~Exists(on_its_way), status__in=ENDED)


def references(person: Person) -> Iterable[str]:
    """Those that have ended: what is still to be done about the others needs its letters."""
    return [subject_of(order) for order in ended(orders_of(person)).only("pk")]


def tell(person: Person) -> Iterator[Row]:
    for order in orders_of(person).order_by("pk").iterator(chunk_size=200):
        names = ("number", "email", "status", "currency", "subtotal", "shipping", "tax", "tax_included", "discount")
        more = ("total", "shipping_method", "shipping_address", "voucher_code", "cancel_reason", "placed_at", "paid_at")
        yield {name: getattr(order, name) for name in (*names, *more)} | _parts(order)


def _parts(order: Order) -> dict[str, Any]:
    papers = [{"number": paper.number, "kind": paper.kind, "amount": paper.amount} for paper in order.invoices.all()]
    return {
        "lines": list(order.lines.values("sku", "name", "quantity", "unit_price", "total", "tax", "tax_rate")),
        "payments": list(order.attempts.values("state", "amount", "currency", "payment_method", "started_at")),
        "refunds": list(order.refunds.values("state", "amount", "currency", "reason", "created_at")),
        "returns": list(order.return_requests.values("state", "units", "words", "answer", "created_at")),
        "parcels": list(order.shipments.values("carrier", "tracking", "shipped_at")),
        "invoices": papers,
    }


def erase(person: Person) -> None:
    """All that have ended. Raises RetryLater while others have not."""
    mine = orders_of(person)
    keys = list(ended(mine).values_list("pk", flat=True))
    for start in range(0, len(keys), 100):
        _anonymise(person, keys[start : start + 100])
    _erase_answers(Q(scope=f"user:{person.user_id}", order=None))
    if left := mine.exclude(pk__in=keys).count():
        raise RetryLater(ASK_AGAIN.total_seconds(), f"{left} orders have not ended yet", going_well=True)


def _anonymise(person: Person, keys: Sequence[int]) -> None:
    with transaction.atomic():
        orders = Order.objects.filter(pk__in=keys)
        for order in orders.only("shipping_address"):
            country = {"country": order.shipping_address.get("country", "")}
            Order.objects.filter(pk=order.pk).update(shipping_address=country)
        orders.update(
            email=erased.address(f"user:{person.user_id}"), user_id=person.user_id, cart_token=None, cancel_reason=""
        )
        for use in VoucherUse.objects.filter(order__in=keys):
            VoucherUse.objects.filter(pk=use.pk).update(customer=erased.address(f"order:{use.order_id}"))
        _erase_words(keys)
        _erase_answers(_told_of(keys))


def _erase_words(keys: Sequence[int]) -> None:
    """What somebody typed, and what a bank or a carrier knows them by."""
    StatusChange.objects.filter(order__in=keys).update(reason="")
    OrderEdit.objects.filter(order__in=keys).update(reason="")
    StockMovement.objects.filter(order__in=keys).update(note="")
    Shipment.objects.filter(order__in=keys).update(carrier="", tracking="")
    Refund.objects.filter(order__in=keys).update(reason="", message="")
    ReturnRequest.objects.filter(order__in=keys).update(words="", answer="")
    Difference.objects.filter(order__in=keys).update(detail=GONE, resolution="")
    PaymentAttempt.objects.filter(order__in=keys).update(payment_method=GONE, message="", action_url="")
    told: dict[str, Any] = {"payload": {"erased": True}, "note": ""}
    GatewayEvent.objects.filter(attempt__order__in=keys).update(**told)


def _told_of(keys: Sequence[int]) -> Q:
    """Answers to decisions about an order name it in their text only."""
    told = Q(order__in=keys)
    for number in Order.objects.filter(pk__in=keys).values_list("number", flat=True):
        told |= Q(body__contains=number)
    return told


def _erase_answers(which: Q) -> None:
    """A key that was used stays used. Whoever repeats its request is told so, and no longer what was answered."""
    with transaction.atomic():
        answered = list(IdempotencyKey.objects.filter(which).values_list("pk", flat=True))
        IdempotencyKey.objects.filter(pk__in=answered).update(request_hash=GONE)
        IdempotencyKey.objects.filter(pk__in=answered).exclude(body=None).update(body=NO_ANSWER)


register("orders", rows=tell, erase=erase, references=references)
