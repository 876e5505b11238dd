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
