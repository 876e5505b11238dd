"""The shop's settings and procrastinate's app."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "procrastinate.contrib.django"]
PROCRASTINATE_IMPORT_PATHS = ["config.bench.ways.procrastinate"]
