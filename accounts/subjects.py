"""How people are called in webhooks: by their number only."""

from notifications.webhooks.subjects import Told, tells


@tells("user")
def user(key: str) -> Told:
    return Told(kind="user", id=key, owner_id=int(key))
