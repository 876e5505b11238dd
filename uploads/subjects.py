"""How uploads are called in webhooks, and whose they are."""

from django.urls import reverse

from notifications.webhooks.subjects import Told, tells
from uploads.models import Upload


@tells("upload")
def upload(key: str) -> Told | None:
    found = Upload.objects.filter(pk=key).values_list("uid", "owner_id").first()
    if found is None:
        return None
    uid, owner_id = found
    return Told(kind="upload", id=str(uid), path=reverse("api:upload", args=[uid]), owner_id=owner_id)
