"""From “order:17” to a link with the order's name, for any model that the staff pages show."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.apps import apps
from django.contrib import admin
from django.db import models
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a reference stands for; `url` is empty when it has no page."""

    label: str
    url: str

    def __html__(self) -> SafeString:
        if not self.url:
            return format_html("{}", self.label)
        return format_html('<a class="wb-link" href="{}">{}</a>', self.url, self.label)

    def __str__(self) -> str:
        return self.__html__()


def named(references: Iterable[str]) -> dict[str, Named]:
    """Each reference with its name and page: one query for each kind of row among them."""
    wanted: dict[str, set[str]] = defaultdict(set)
    found = {reference: Named(label=reference, url="") for reference in references if reference}
    for reference in found:
        kind, _, key = reference.partition(":")
        if key.isdecimal():
            wanted[kind].add(key)
    for kind, keys in wanted.items():
        found |= _rows(kind, keys)
    return found


def _rows(kind: str, keys: set[str]) -> dict[str, Named]:
    model = _model(kind)
    if model is None:
        return {}
    address = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    rows = model._default_manager.filter(pk__in=keys)
    return {f"{kind}:{row.pk}": Named(label=str(row), url=reverse(address, args=[row.pk])) for row in rows}


def _model(kind: str) -> type[models.Model] | None:
    found = (model for model in apps.get_models() if model._meta.model_name == kind)
    return next((model for model in found if admin.site.is_registered(model)), None)
