from django.apps import AppConfig

# Made here, in the first app of all, so that tasks declared later attach to it.
import config.celery  # noqa: F401


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Site"

    def ready(self) -> None:
        from config import checks  # noqa: F401  importing registers them
