"""The buyer asks to send things back: which, why, and with pictures if they are signed in."""

from collections.abc import Callable, Sequence
from functools import wraps

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from orders import links, returning
from orders.models import Order
from orders.refunds import BadUnits
from orders.return_form import ReturnRequestForm
from orders.views.http import SeeOther, beside
from uploads.arriving import FIELD, Arrived
from uploads.formats import ACCEPT_PICTURES
from uploads.models import Upload
from uploads.views.arrivals import taken, takes_files


def _of_the_buyer(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Nobody else fills our disk: who asks is clear before a file is read."""

    @wraps(view)
    def asked(request: HttpRequest, number: str) -> HttpResponse:
        order = get_object_or_404(Order.objects.prefetch_related("lines"), number=number)
        if not links.may_cancel(order, user=request.user, key=request.GET.get("key", "")):
            raise Http404
        return view(request, order)

    return asked


@never_cache
@_of_the_buyer
@takes_files
def send_back(request: HttpRequest, order: Order, *, arrived: Sequence[Arrived]) -> HttpResponse:
    form = ReturnRequestForm(request.POST if request.method == "POST" else None, order=order)
    if not form.is_valid():
        return _page(request, form, status=422 if form.is_bound else 200)
    pictures = _pictures(request, arrived)
    refused = [one for one in pictures if isinstance(one, Arrived)]
    if refused:
        return _page(request, form, refused=refused, status=422)
    return _ask(request, form, [one for one in pictures if isinstance(one, Upload)])


def _pictures(request: HttpRequest, arrived: Sequence[Arrived]) -> list[Upload | Arrived]:
    """Of a guest none are asked, and none are kept: they would belong to nobody."""
    if not request.user.is_authenticated:
        return []
    if len(arrived) > returning.MOST_PICTURES:
        why = ValueError(_("At most %(most)s pictures.") % {"most": returning.MOST_PICTURES})
        return [Arrived(name="", refusal=why)]
    return [taken(request.user, one) for one in arrived]


def _ask(request: HttpRequest, form: ReturnRequestForm, pictures: Sequence[Upload]) -> HttpResponse:
    try:
        returning.ask(order=form.order, lines=form.units(), words=form.cleaned_data["words"], pictures=pictures)
    except BadUnits as refusal:
        form.blame(refusal)
        return _page(request, form, status=409)
    except returning.AlreadyAsked:
        messages.info(request, _("You have asked already. We are looking at it."))
    else:
        messages.success(request, _("We have your request, and write to you."))
    return SeeOther(beside(request, "order", form.order.number))


def _page(
    request: HttpRequest, form: ReturnRequestForm, *, refused: Sequence[Arrived] = (), status: int = 200
) -> HttpResponse:
    facts = {
        "order": form.order,
        "form": form,
        "refused": refused,
        "asked": returning.open_request(form.order),
        "possible": returning.can_be_sent_back(form.order),
        "field": FIELD,
        "accept": ACCEPT_PICTURES,
        "most": returning.MOST_PICTURES,
        "order_url": beside(request, "order", form.order.number),
    }
    return render(request, "orders/send_back.html", facts, status=status)
