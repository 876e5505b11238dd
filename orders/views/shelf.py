"""What is for sale."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from orders.models import Product
from orders.models.catalog import ProductQuerySet
from orders.pricing import MOST_OF_ONE


@require_GET
def catalogue(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:100]
    products = for_sale().matching(query).order_by("name")
    return render(request, "orders/catalogue.html", {"products": products, "query": query})


@require_GET
def product(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(for_sale(), slug=slug)
    return render(request, "orders/product.html", {"product": found, "most": MOST_OF_ONE})


def for_sale() -> ProductQuerySet:
    """What has a place on the shelf, be it empty."""
    return Product.objects.active().filter(stock__isnull=False).select_related("stock")
