"""The web process: `gunicorn config.wsgi`."""

import gc
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.refusal import GUNICORN_GIVES_UP, settings_or_exit

settings_or_exit(GUNICORN_GIVES_UP)
_django: Final = get_wsgi_application()
# Under `gunicorn --preload` all workers share what is made here: the views are imported once, not by the
# first buyer of each worker, and the collector neither copies these pages nor walks them at the end.
assert get_resolver().url_patterns
gc.freeze()

_CHARSET: Final = re.compile(r";\s*charset=[^;]*", re.IGNORECASE)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The site, in UTF-8 whatever a client claims.

    Python has codecs that are no text encodings ("idna", "base64"). Django would read the query string with
    any of them, and fall over before its own error handling begins.
    """
    if "charset" in environ.get("CONTENT_TYPE", "").lower():
        environ["CONTENT_TYPE"] = _CHARSET.sub("", environ["CONTENT_TYPE"])
    return _django(environ, start_response)
