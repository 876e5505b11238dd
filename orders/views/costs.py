"""What the checkout page says of money: the sums, the ways of delivery, the voucher."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from notifications import correlation
from orders import cart as carts
from orders.guesses import MOST, MOST_FROM_AN_ADDRESS, TooManyGuesses, slowed_down
from orders.offers import Way, ways
from orders.pricing import InvalidOrder, Quote, quote


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the visitor has said so far of how, where to, and with which voucher; empty where nothing was said."""

    shipping_method: str
    country: str
    voucher: str
    email: str = ""  # only at the last button: until then it would tell a stranger who has bought here


def costs(request: HttpRequest, basket: carts.Cart, terms: Terms) -> dict[str, Any]:
    """The sums of this cart, with the first way of delivery that works where none is chosen.

    A voucher that does not count is left out, and `voucher_problem` says why; `nothing_goes_to` is the country that
    nothing is delivered to. Raises InvalidOrder when the goods themselves cannot be bought.
    """
    offered = ways(currency=basket.currency, country=terms.country)
    sought = _deliverable(offered, terms)
    problem = {}
    try:
        priced = price(request, basket, sought)
    except TooManyGuesses as refusal:
        problem["voucher_problem"] = str(refusal)
    except InvalidOrder as refusal:
        problem["voucher_problem"] = _about_the_voucher(refusal)
    if problem:
        priced = quote(basket.items, sought.shipping_method, country=sought.country, currency=basket.currency)
    return {
        "cart": basket,
        "quote": priced,
        "ways": _described(offered, terms.country, goods=priced.subtotal - priced.discount),
        "chosen_method": sought.shipping_method,
        "nothing_goes_to": terms.country if terms.country != sought.country else "",
        "typed_voucher": terms.voucher,
        **problem,
    }


def price(request: HttpRequest, basket: carts.Cart, terms: Terms) -> Quote:
    """What the order would cost. Raises InvalidOrder, or TooManyGuesses for whoever tries codes."""
    who = {f"session:{request.session.session_key}": MOST, f"from:{correlation.address()}": MOST_FROM_AN_ADDRESS}
    with slowed_down(who, code=terms.voucher):
        return quote(
            basket.items,
            terms.shipping_method,
            country=terms.country,
            currency=basket.currency,
            voucher=terms.voucher,
            email=terms.email,
        )


def _deliverable(offered: list[Way], terms: Terms) -> Terms:
    """The same with a way of delivery that there is; without the country where nothing goes there."""
    reaching = [way.code for way in offered if way.goes_to(terms.country)]
    among = reaching or [way.code for way in offered] or [terms.shipping_method]
    return Terms(
        shipping_method=terms.shipping_method if terms.shipping_method in among else among[0],
        country=terms.country if reaching else "",
        voucher=terms.voucher,
    )


def _about_the_voucher(refusal: InvalidOrder) -> str:
    """Why the voucher does not count. Raises the refusal itself when something else is wrong too."""
    if any(error.field != "voucher" for error in refusal.errors):
        raise refusal
    return refusal.errors[0].detail


def _described(offered: list[Way], country: str, *, goods: int) -> list[dict[str, Any]]:
    return [
        {"code": way.code, "name": way.name, "price": way.costs(goods), "reaches": way.goes_to(country)}
        for way in offered
    ]
