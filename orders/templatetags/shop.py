"""How the shop writes money, times and the cart's count."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from babel import Locale
from babel.dates import format_datetime, format_time, format_timedelta
from django import template
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, to_locale
from moneyed import Money, get_currency
from moneyed.l10n import format_money

from orders import cart

register = template.Library()


def _locale() -> str:
    return to_locale(get_language() or "en")


@register.filter
def money(amount: int, currency: str) -> str:
    """Minor units in words a person reads: 1250 and "EUR" are €12.50."""
    unit = get_currency(currency).sub_unit
    return format_money(Money(Decimal(amount) / unit, currency), locale=_locale())


@register.filter
def country(code: str) -> str:
    """The name of a country by its two letters; the letters themselves where nobody knows them."""
    return Locale.parse(_locale()).territories.get(code.upper(), code)


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """How long since, or until; the exact time is in the title and for machines."""
    if moment is None:
        return SafeString("")
    return _time(moment, format_timedelta(moment - timezone.now(), add_direction=True, locale=_locale()))


@register.filter
def clock(moment: datetime | None) -> SafeString:
    """The time of day: 14:03."""
    if moment is None:
        return SafeString("")
    return _time(moment, format_time(timezone.localtime(moment), "HH:mm", locale=_locale()))


@register.filter
def moment(moment: datetime | None) -> SafeString:
    """Day and time in full."""
    return SafeString("") if moment is None else _time(moment, _in_full(moment))


@register.simple_tag(takes_context=True)
def cart_count(context: dict[str, Any]) -> int:
    session = getattr(context.get("request"), "session", None)
    return 0 if session is None else cart.count(session)


@register.simple_tag
def staff_link(name: str, *args: Any) -> str:
    """The absolute address of a staff page, for letters."""
    return settings.SITE_URL + reverse(name, args=args)


def _time(moment: datetime, words: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), _in_full(moment), words)


def _in_full(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return format_datetime(local, "d MMMM y, HH:mm zzz", locale=_locale())
