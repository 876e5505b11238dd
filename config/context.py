"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def shop(_request: HttpRequest) -> dict[str, Any]:
    return {"LOCAL": settings.LOCAL}
