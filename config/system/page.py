"""The page System: do the books balance, who is alive, and what is this shop made of?"""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from config.system import in_force, machine
from notifications.context import current_health
from notifications.models import Delivery, Worker
from orders.books import checkup

LOOK_AGAIN = 2  # seconds, while the books are being checked


@require_safe
def system_page(request: HttpRequest) -> HttpResponse:
    """For whoever may see workers. What the doctor found names orders: it is for whoever may see those."""
    if not request.user.has_perm("notifications.view_worker"):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": "System",
        "health": current_health(),
        "workers": list(Worker.objects.unstopped().order_by("kind", "-beat_at")),
        "versions": list(machine.versions()),
        "migrations": machine.pending_migrations(),
        "disk": machine.disk(),
        "settings_in_force": in_force.settings_in_force(),
        **(_doctor(request) if request.user.has_perm("orders.view_order") else {}),
    }
    return TemplateResponse(request, "config/system.html", context)


def _doctor(request: HttpRequest) -> dict[str, object]:
    under_way = checkup.under_way()
    died = Delivery.objects.dead().filter(handler=checkup.HANDLER).order_by("-pk").first()
    return {
        "may_see_books": True,
        "may_check": request.user.has_perm("orders.decide_difference"),
        "checkup": checkup.latest(),
        "under_way": under_way,
        "look_again": LOOK_AGAIN,
        "died": died,
    }


@require_POST
def check_books(request: HttpRequest) -> HttpResponse:
    """Have the doctor make a round. The answer does not wait for it."""
    if not request.user.has_perm("orders.decide_difference"):
        raise PermissionDenied
    if checkup.ask():
        messages.success(request, "The books are being checked. What is found appears here.")
    else:
        messages.warning(request, "They are being checked already.")
    return redirect("system")


def urls() -> list[URLPattern]:
    wrap = admin.site.admin_view
    return [path("", wrap(system_page), name="system"), path("check/", wrap(check_books), name="system_check")]
