"""The picture that stands for a person: one of their own uploads."""

from typing import Any

from uploads.models import Avatar, Upload


class NoPicture(Exception):
    """Only a picture of one's own that is ready can stand for a person."""


def choose(*, upload: Upload) -> None:
    """From now on it stands for its owner, instead of any other. Raises NoPicture."""
    if upload.kind != Upload.Kind.IMAGE or upload.status != Upload.Status.READY:
        raise NoPicture("Choose a picture that is ready.")
    Avatar.objects.update_or_create(owner_id=upload.owner_id, defaults={"upload": upload})


def remove(*, owner: Any) -> None:
    """Nothing stands for them any more; the picture itself stays. Twice is no error."""
    Avatar.objects.filter(owner=owner).delete()
