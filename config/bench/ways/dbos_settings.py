"""The shop's settings with Django's own pool: DBOS starts a thread for each workflow that waits, and each thread would
open a connection of its own until PostgreSQL has no more."""

from config.settings import *  # noqa: F403
from config.settings import DATABASES

DATABASES["default"]["OPTIONS"] |= {"pool": {"max_size": 20, "timeout": 60}}  # seconds
DATABASES["default"]["CONN_MAX_AGE"] = 0  # Django refuses a pool under connections that stay open
