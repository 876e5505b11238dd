"""The shop's settings, and handlers of whom one kills its process."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.notifications.pipeline.neighbours"]
