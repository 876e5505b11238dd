"""Orders of guests: whose they are, once somebody has shown that the address is theirs."""

from allauth.account.models import EmailAddress

from orders.models import Order


def claim(*, user_id: int, address_id: int) -> int:
    """Give `user_id` the orders that nobody has, placed with this address of theirs. Returns how many.

    None where the address is not verified, or is somebody else's by now. Nobody loses an order they have.
    """
    address = EmailAddress.objects.filter(pk=address_id, user_id=user_id, verified=True).first()
    if address is None:
        return 0
    return Order.objects.filter(user=None, email__iexact=address.email).update(user_id=user_id)


def claim_paid(*, order_id: int) -> bool:
    """Give an order that nobody has to the account which has shown that its address is theirs. Twice is harmless.

    For orders that were paid: who only types a stranger's address puts nothing into that person's history. Nothing of
    it is seen by who bought as a guest: their link opens the order as before, whoever has it.
    """
    email = Order.objects.filter(pk=order_id, user=None).values_list("email", flat=True).first()
    shown = EmailAddress.objects.filter(email__iexact=email or "", verified=True, user__is_active=True)
    owner = shown.values_list("user_id", flat=True).first()
    return owner is not None and bool(Order.objects.filter(pk=order_id, user=None).update(user_id=owner))
