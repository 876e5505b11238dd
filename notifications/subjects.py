"""How this app's own rows are called in webhooks, and whose they are."""

from notifications.models import Endpoint
from notifications.webhooks.subjects import Told, tells


@tells("endpoint")
def endpoint(key: str) -> Told | None:
    found = Endpoint.objects.filter(pk=key).first()
    return Told(kind="endpoint", id=str(found.uid), owner_id=found.owner_id) if found else None
