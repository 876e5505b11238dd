"""What is for sale."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from orders.gallery import with_pictures
from orders.models import Product
from orders.models.catalog import ProductQuerySet
from orders.offers import sold_in
from orders.pricing import MOST_OF_ONE
from orders.views.currency import money_of


@require_GET
def catalogue(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:100]
    money = money_of(request)
    found = sold_in(for_sale().matching(query), currency=money["currency"])
    products = with_pictures(found).order_by("name")
    return render(request, "orders/catalogue.html", {"products": products, "query": query, **money})


@require_GET
def product(request: HttpRequest, slug: str) -> HttpResponse:
    money = money_of(request)
    found = get_object_or_404(with_pictures(sold_in(for_sale(), currency=money["currency"])), slug=slug)
    return render(request, "orders/product.html", {"product": found, "most": MOST_OF_ONE, **money})


def for_sale() -> ProductQuerySet:
    """What has a place on the shelf, be it empty."""
    return Product.objects.active().filter(stock__isnull=False).select_related("stock")
