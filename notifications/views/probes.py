"""What machines ask: is this process alive, and is the shop as a whole ready?"""

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST

from notifications.pipeline.health import LATE, pipeline_health
from notifications.pipeline.metrics import exposition


@require_GET
@never_cache
def alive(_request: HttpRequest) -> HttpResponse:
    """200 while this process can answer at all; asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_GET
@never_cache
def ready(_request: HttpRequest) -> HttpResponse:
    """200 while the database answers, a relay beats and nothing due has waited too long; else 503 and why."""
    reasons = _reasons()
    return JsonResponse({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


@require_GET
@never_cache
def metrics(_request: HttpRequest) -> HttpResponse:
    """The pipeline in figures, as Prometheus reads them; 503 while the database does not answer."""
    try:
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)
    except DatabaseError:
        return HttpResponse("# The database does not answer.\n", status=503, content_type="text/plain")


def _reasons() -> list[str]:
    try:
        health = pipeline_health()
    except DatabaseError:
        return ["The database does not answer."]
    found = [] if health.relay_alive else ["No relay is running."]
    if health.oldest_waiting_seconds > LATE:
        found.append(f"A due delivery has waited {health.oldest_waiting_seconds:.0f} s.")
    return found
