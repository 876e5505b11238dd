"""Where sessions are kept, and how long: Django's database store, with an idle and an absolute limit.

The limits are looked at when a session is read, so a page that needs none pays nothing.
"""

import time
from datetime import timedelta
from typing import Any, Final

from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone

# (idle, absolute). Who decides about other people's money and goods says anew who they are, each day.
FOR_CUSTOMERS: Final = (timedelta(days=14), timedelta(days=60))
FOR_STAFF: Final = (timedelta(hours=2), timedelta(hours=12))
TOUCHED_EVERY: Final = 300.0  # seconds: not every page is a write
SINCE, SEEN, STAFF = "session_since", "session_seen", "session_of_staff"


class SessionStore(DatabaseStore):
    def load(self) -> dict[str, Any]:
        """What the session holds; nothing when somebody was logged in, and their time is over."""
        held: dict[str, Any] = super().load()
        if SESSION_KEY not in held:
            return held
        now = time.time()
        if _is_over(held, now):
            self.delete(self.session_key)
            self._session_key = None
            return {}
        if now - held.get(SEEN, 0) > TOUCHED_EVERY:
            held |= {SEEN: now, SINCE: held.get(SINCE, now)}
            self.modified = True
            UserSession.objects.filter(session_key=self.session_key).update(last_seen_at=timezone.now())
        return held


def begin(request: HttpRequest, user: Any, **_: Any) -> None:
    """Somebody has just logged in, whichever way: their time begins."""
    now = time.time()
    request.session.update({SINCE: now, SEEN: now, STAFF: user.is_staff})


def _is_over(held: dict[str, Any], now: float) -> bool:
    idle, absolute = FOR_STAFF if held.get(STAFF) else FOR_CUSTOMERS
    seen, since = held.get(SEEN, now), held.get(SINCE, now)
    return now - seen > idle.total_seconds() or now - since > absolute.total_seconds()
