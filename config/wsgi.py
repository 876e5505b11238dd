"""The web process: `gunicorn config.wsgi`."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
# Under `gunicorn --preload` all workers share what is made here: the views are imported once, not by the
# first buyer of each worker, and the collector neither copies these pages nor walks them at the end.
assert get_resolver().url_patterns
gc.freeze()
