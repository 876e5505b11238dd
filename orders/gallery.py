"""What a product looks like: pictures and videos that staff have uploaded, in their order, each with its words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import Max, Prefetch, QuerySet

from orders.models import Product, ProductPicture

LONGEST_ALT: Final = 200  # characters
MOST: Final = 30  # of one product: nobody looks at more
_NUMBERED: Final = re.compile(r"(?P<sku>.+?)[-_ .](?P<place>\d{1,2})")  # MUG-RED-2, MUG-RED_2


class NotUsable(Exception):
    """This cannot be a product's picture; the message says why."""


class NoWords(Exception):
    """A picture has no words for those who cannot see it. `picture_id` says which."""

    def __init__(self, picture_id: int) -> None:
        super().__init__("Say what is to be seen, for those who cannot see it.")
        self.picture_id = picture_id


class NoSuchProduct(Exception):
    """No product goes by what the file is called; the message says how files are named."""


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """One picture as it is to be: its words and its place, or gone."""

    picture_id: int
    alt: str
    place: int
    removed: bool = False


def with_pictures(products: QuerySet[Product]) -> Any:
    """The same products; `seen` of each are the pictures that can be shown, the first one first."""
    shown = ProductPicture.objects.filter(upload__status="ready").order_by("place", "pk")
    shown = shown.select_related("upload").prefetch_related("upload__renditions")
    return products.prefetch_related(Prefetch("pictures", queryset=shown, to_attr="seen"))


def attach(*, product: Product, upload: Any, alt: str, place: int | None = None) -> ProductPicture:
    """Show `upload` on the product's page as soon as it is ready: at its place, or behind the others.

    A picture that is there already stays as it is. Raises NotUsable for what is not staff's, has been rejected, or
    would be one too many.
    """
    if not upload.owner.is_staff:
        raise NotUsable("Only what staff have uploaded can be shown in the shop.")
    if upload.status == "rejected":
        raise NotUsable(upload.reason)
    with transaction.atomic(durable=True):
        Product.objects.select_for_update().get(pk=product.pk)
        there = product.pictures.filter(upload=upload).first()
        if there is not None:
            return there
        if product.pictures.count() >= MOST:
            raise NotUsable(f"{product} has {MOST} pictures: that is the limit.")
        last = product.pictures.aggregate(last=Max("place"))["last"] or 0
        place = last + 1 if place is None else place
        return product.pictures.create(upload=upload, alt=_words(alt, product), place=place)


def attach_by_name(*, name: str, upload: Any) -> ProductPicture:
    """Find the product by its SKU in the file's name: MUG-RED.jpg, or MUG-RED-2.jpg for its second picture.

    Raises NoSuchProduct, or NotUsable as `attach` does.
    """
    stem = name.rpartition(".")[0] or name
    product, place = _named(stem)
    if product is None:
        raise NoSuchProduct(f"No product has the SKU {stem[:40]}. Name the file as the SKU, or SKU-2 for a second one.")
    words = product.name if place == 1 else f"{product.name}, picture {place}"
    return attach(product=product, upload=upload, alt=words, place=place)


def arrange(*, product: Product, pictures: Sequence[Arranged]) -> None:
    """All of it or nothing. Pictures that are not named stay as they are. Raises NoWords."""
    for one in pictures:
        if not one.removed and not one.alt.strip():
            raise NoWords(one.picture_id)
    with transaction.atomic(durable=True):
        Product.objects.select_for_update().get(pk=product.pk)
        for one in pictures:
            found = product.pictures.filter(pk=one.picture_id)
            if one.removed:
                found.delete()
            else:
                found.update(alt=one.alt.strip()[:LONGEST_ALT], place=one.place)


def _words(alt: str, product: Product) -> str:
    return alt.strip()[:LONGEST_ALT] or product.name


def _named(stem: str) -> tuple[Product | None, int]:
    """A SKU may itself end in a number: the whole is looked for first."""
    if whole := Product.objects.filter(sku__iexact=stem).order_by("sku").first():
        return whole, 1
    numbered = _NUMBERED.fullmatch(stem)
    if numbered is None:
        return None, 1
    found = Product.objects.filter(sku__iexact=numbered["sku"]).order_by("sku").first()
    return found, int(numbered["place"])
