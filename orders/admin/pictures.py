"""What products look like: the page of one product's pictures, and the page for many files named by SKU."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from orders import gallery
from orders.gallery import Arranged, NoSuchProduct, NotUsable, NoWords
from orders.models import Product, ProductPicture
from uploads.arriving import FIELD, Arrived
from uploads.formats import ACCEPT, WORDS
from uploads.limits import LARGEST, in_words
from uploads.models import Upload
from uploads.views.arrivals import taken, takes_files

OFFERED: Final = 24  # uploads to choose from, the newest first
UID_LENGTH: Final = 36
LAST_PLACE: Final = 999


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of one file: a picture of a product, or why not."""

    name: str
    picture: ProductPicture | None = None
    why: str = ""


class ProductPictures(admin.ModelAdmin):  # type: ignore[type-arg]
    """The pages, for the admin of products."""

    def get_urls(self) -> list[URLPattern]:
        return [
            path("pictures/", self._receiving(self.many_view), name="orders_product_many_pictures"),
            path("<int:pk>/pictures/", self._receiving(self.pictures_view), name="orders_product_pictures"),
            *super().get_urls(),
        ]

    def _receiving(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Who may only look is refused before a file is read, let alone kept."""
        receiving = takes_files(view)

        @wraps(receiving)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not self.has_change_permission(request):
                raise PermissionDenied
            return receiving(request, *args, **kwargs)

        return self.admin_site.admin_view(checked)

    @action(description="Pictures…", url_path="to-pictures")
    def to_pictures(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return redirect("admin:orders_product_pictures", object_id)

    @action(description="Upload pictures…", url_path="to-many-pictures")
    def to_many_pictures(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:orders_product_many_pictures")

    # -- One product ---------------------------------------------------------------------------

    def pictures_view(self, request: HttpRequest, pk: int, *, arrived: Sequence[Arrived]) -> HttpResponse:
        product = get_object_or_404(Product, pk=pk)
        if request.method != "POST":
            return self._pictures_page(request, product)
        faults = [*_rearranged(request, product), *_added(request, product, arrived)]
        if faults:
            return self._pictures_page(request, product, faults=faults, status=422)
        self.message_user(request, "The pictures are as you want them.", messages.SUCCESS)
        return redirect("admin:orders_product_pictures", pk)

    def _pictures_page(
        self, request: HttpRequest, product: Product, *, faults: Sequence[str] = (), status: int = 200
    ) -> HttpResponse:
        shown = product.pictures.select_related("upload").prefetch_related("upload__renditions")
        facts = {
            "title": f"Pictures of {product}",
            "product": product,
            "faults": faults,
            "pictures": list(shown.order_by("place", "pk")),
            "offered": list(_of_staff().exclude(pk__in=product.pictures.values("upload"))[:OFFERED]),
            "longest_alt": gallery.LONGEST_ALT,
            "last_place": LAST_PLACE,
            "back": reverse("admin:orders_product_change", args=[product.pk]),
        }
        return self._page(request, "orders/admin/pictures.html", facts, status=status)

    # -- Many products -------------------------------------------------------------------------

    def many_view(self, request: HttpRequest, *, arrived: Sequence[Arrived]) -> HttpResponse:
        told = [_by_name(request, one) for one in arrived]
        if request.headers.get("X-Requested-With") == "XMLHttpRequest":
            return TemplateResponse(request, "orders/admin/_many_pictures.html", {"told": told})
        facts = {
            "title": "Upload pictures",
            "told": told,
            "done": sum(1 for one in told if one.picture),
            "back": reverse("admin:orders_product_changelist"),
        }
        return self._page(request, "orders/admin/many_pictures.html", facts)

    def _page(self, request: HttpRequest, template: str, facts: dict[str, Any], *, status: int = 200) -> HttpResponse:
        limits = {kind: in_words(most) for kind, most in LARGEST.items()}
        frame = {**self.admin_site.each_context(request), "opts": self.opts}
        form = {"field": FIELD, "accept": ACCEPT, "words": WORDS, "limits": limits}
        return TemplateResponse(request, template, frame | form | facts, status=status)


def _of_staff() -> QuerySet[Upload]:
    """What can be shown in the shop, the newest first."""
    return Upload.objects.live().filter(owner__is_staff=True).order_by("-pk").prefetch_related("renditions")


def _rearranged(request: HttpRequest, product: Product) -> Iterator[str]:
    """Words, places, and what is taken out. Yields what is not right; then nothing was changed."""
    try:
        gallery.arrange(product=product, pictures=list(_arranged(request, product)))
    except NoWords as refusal:
        yield str(refusal)


def _arranged(request: HttpRequest, product: Product) -> Iterator[Arranged]:
    for one in product.pictures.all():
        if (alt := request.POST.get(f"alt_{one.pk}")) is None:
            continue  # it came after the page was shown
        place = request.POST.get(f"place_{one.pk}", "")
        number = int(place[:4]) if place.isascii() and place.isdecimal() else one.place
        removed = f"remove_{one.pk}" in request.POST
        yield Arranged(picture_id=one.pk, alt=alt, place=min(number, LAST_PLACE), removed=removed)


def _added(request: HttpRequest, product: Product, arrived: Sequence[Arrived]) -> Iterator[str]:
    """What was chosen, and what was sent. Yields what could not be taken, and why."""
    chosen = [uid for uid in request.POST.getlist("upload") if len(uid) == UID_LENGTH]
    wanted: list[Upload | Arrived] = [*_of_staff().filter(uid__in=chosen)]
    wanted += [taken(request.user, one) for one in arrived]
    for one in wanted:
        told = _told(one.name, one, lambda upload: gallery.attach(product=product, upload=upload, alt=""))
        if told.why:
            yield f"{told.name}: {told.why}" if told.name else told.why


def _by_name(request: HttpRequest, arrived: Arrived) -> Told:
    name, file = arrived.name, taken(request.user, arrived)
    return _told(name, file, lambda upload: gallery.attach_by_name(name=name, upload=upload))


def _told(name: str, file: Upload | Arrived, attach: Callable[[Upload], ProductPicture]) -> Told:
    if isinstance(file, Arrived):
        return Told(name=name, why=str(file.refusal))
    try:
        return Told(name=name, picture=attach(file))
    except (NotUsable, NoSuchProduct) as why:
        return Told(name=name, why=str(why))
