"""/accounts/orders/: what this person has bought."""

from typing import Final

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from orders.models import Order

ON_A_PAGE: Final = 20


@require_safe
@login_required
def history(request: HttpRequest) -> HttpResponse:
    """The newest first."""
    own = Order.objects.all().of(request.user.pk or 0).order_by("-pk")
    page = Paginator(own, ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "orders/history.html", {"page": page})
