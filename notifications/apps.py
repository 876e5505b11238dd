from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "After the commit"

    def ready(self) -> None:
        from notifications import reporting, tracing
        from notifications.campaigns import reports  # noqa: F401  it listens
        from notifications.webhooks import fanout

        # Every process must know every handler: what is published here may run anywhere.
        autodiscover_modules("handlers", "subjects", "personal_data", "steps")
        from notifications.personal_data import history, own  # noqa: F401  the last: they follow what others keep

        fanout.listen_to_everything_public()
        if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            tracing.send_to(settings.OTEL_EXPORTER_OTLP_ENDPOINT)
        if settings.SENTRY_DSN:
            reporting.send_to(settings.SENTRY_DSN)
