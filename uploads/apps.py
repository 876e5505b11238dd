from typing import Any, Final

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models.signals import post_migrate

# Decoding fills a core each: a worker's other hands stay free for mail and money. A person may change it.
AT_ONCE: Final = {"images": 2, "video": 1}


class UploadsConfig(AppConfig):
    name = "uploads"
    verbose_name = "Pictures and video"

    def ready(self) -> None:
        from uploads import failing

        failing.listen()
        post_migrate.connect(limit_decoding, sender=self)


def limit_decoding(using: str, apps: Apps = installed, **_: Any) -> None:
    """Queues that nobody has said anything of yet."""
    try:
        queues = apps.get_model("notifications", "Queue")
        queues._meta.get_field("at_once")
    except (LookupError, FieldDoesNotExist):
        return  # migrated to a time before there was such a thing
    for name, at_once in AT_ONCE.items():
        queues.objects.using(using).get_or_create(name=name, defaults={"at_once": at_once})
