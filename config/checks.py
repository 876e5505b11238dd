"""What `manage.py check --deploy` says of a shop that would start, but perhaps not as its owner thinks."""

from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

NOWHERE: Final = ("console", "dummy", "locmem", "filebased")  # Django's ways not to send a letter


@register(deploy=True)
def database(**_: Any) -> list[CheckMessage]:
    """A file is right for one machine, as long as somebody has decided so."""
    if settings.LOCAL or settings.DATABASE_IS_CHOSEN:
        return []
    words = f"DATABASE_URL is not set: everything is kept in {settings.DATABASES['default']['NAME']}."
    hint = "That is enough for one machine: say so with DATABASE_URL=sqlite:////PATH. For several, use PostgreSQL."
    return [Warning(words, hint=hint, id="config.W001")]


@register(deploy=True)
def mail(**_: Any) -> list[CheckMessage]:
    """Letters that go nowhere are nobody's failure, and so would be missed late."""
    way = settings.EMAIL_BACKEND.split(".")[-2]
    if settings.LOCAL or way not in NOWHERE:
        return []
    return [Warning(f"EMAIL_URL sends no letter to anybody ({way}).", hint="smtp+tls://…", id="config.W002")]
