"""What a person tells us about themselves, and how we speak to them since."""

import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from functools import cache
from typing import Final

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone, translation

from accounts.models import Profile, User

TIME_ZONE_COOKIE: Final = "time_zone"
A_YEAR: Final = 31_536_000  # seconds


@cache
def time_zones() -> frozenset[str]:
    """Those of places, as Europe/Amsterdam: others are old names and offsets."""
    return frozenset(name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc/"))


def time_zone_named(name: str) -> tzinfo:
    """The shop's own where there is none of this name: it may come from a cookie."""
    return zoneinfo.ZoneInfo(name) if name in time_zones() else timezone.get_default_timezone()


def change(*, user: User, display_name: str, locale: str, time_zone: str) -> None:
    """Kept also where the profile, which a handler makes after registration, is not there yet."""
    said = {"display_name": display_name, "locale": locale, "time_zone": time_zone}
    Profile.objects.update_or_create(user=user, defaults=said)


def remember(response: HttpResponse, *, locale: str, time_zone: str) -> None:
    """Let this browser's pages be in this language and zone. Empty: in none of its own, whoever used it before."""
    secure = settings.SESSION_COOKIE_SECURE
    for name, value in ((settings.LANGUAGE_COOKIE_NAME, locale), (TIME_ZONE_COOKIE, time_zone)):
        if value:
            response.set_cookie(name, value, max_age=A_YEAR, samesite="Lax", httponly=True, secure=secure)
        else:
            response.delete_cookie(name, samesite="Lax")


@contextmanager
def as_read_by(user: User) -> Iterator[None]:
    """What is rendered inside, has the language and the clock of this person: a letter knows of no browser."""
    own = Profile.objects.filter(user=user).first() or Profile()
    with timezone.override(time_zone_named(own.time_zone)), translation.override(own.locale or settings.LANGUAGE_CODE):
        yield
