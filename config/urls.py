"""Every address of the site."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config.system.page import urls as system_urls
from notifications.admin.advise import advise_page
from notifications.admin.pipeline import pipeline_page
from notifications.api.problems import nothing_here
from notifications.views import probes


def mail_service_urls(service: str) -> list[URLPattern]:
    """Where the mail service reports to; nothing without one."""
    if not service:
        return []
    from anymail.urls import urlpatterns  # all services' views: not loaded in vain

    return [found for found in urlpatterns if found.name in (f"{service}_tracking_webhook", f"{service}_webhook")]


def already_in(_request: HttpRequest, **_: Any) -> HttpResponse:
    """Not the admin's own form: who is in could try passwords there, without a throttle or a second factor."""
    return redirect("admin:index")


# One way in for everybody: with its throttle, its second factor and its session limits.
admin.site.login = secure_admin_login(already_in)  # type: ignore[method-assign]

urlpatterns = [
    path("webhooks/mail/", include(mail_service_urls(settings.MAIL_SERVICE))),
    path("", include("orders.urls")),
    path("accounts/webhooks/", include("notifications.views.webhooks_urls")),
    path("accounts/", include("accounts.own_data_urls")),
    path("accounts/", include("accounts.urls")),
    path("", include("uploads.urls")),
    path("newsletter/", include("notifications.views.newsletter_urls")),
    path("mailbox/", include("notifications.views.mailbox_urls")),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/pipeline/", admin.site.admin_view(pipeline_page), name="pipeline"),
    path("admin/advise/", admin.site.admin_view(advise_page), name="advise"),
    path("admin/system/", include(system_urls())),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(), name="docs"),
    path("api/v1/", include("config.api_urls")),
    path("api/", nothing_here),
    path("api/<path:rest>", nothing_here),
    path("healthz", probes.alive, name="healthz"),
    path("readyz", probes.ready, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"
