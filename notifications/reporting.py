"""Sentry: what nobody expected, with the way to it in the code and the correlation id, and no word about people.

Nothing is loaded until SENTRY_DSN says where reports go. An error's own words may quote an address, and variables and
arguments hold orders: none of them leaves the house. Who has the id finds the rest on our own pages.
"""

from typing import Any, Final

from notifications import correlation

# What would be told unasked, and tells of people: arguments of commands, lines of the log, variables, requests.
NOTHING_MORE: Final[dict[str, Any]] = {
    "default_integrations": False,
    "include_local_variables": False,
    "max_breadcrumbs": 0,
    "max_request_body_size": "never",
    "auto_session_tracking": False,
    "server_name": "",
}

_sdk: Any = None  # the module sentry_sdk, once `send_to` was called


def send_to(dsn: str, **options: Any) -> None:
    """Reports go there, from a thread of the SDK's own. Options are further ones of the SDK."""
    global _sdk
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration

    mine = (
        DjangoIntegration(middleware_spans=False, signals_spans=False),
        CeleryIntegration(propagate_traces=False),
        ExcepthookIntegration(),
        AtexitIntegration(callback=lambda *_: None),  # it would tell whoever runs a command that it waits
    )
    sentry_sdk.init(dsn=dsn, integrations=mine, before_send=_without_people, **NOTHING_MORE, **options)
    _sdk = sentry_sdk


def stop() -> None:
    """No more reports from this process."""
    global _sdk
    if _sdk is not None:
        _sdk.get_client().close()
    _sdk = None


def died(error: Exception, *, handler: str) -> None:
    """A delivery will not be tried again, because of an error that nobody foresaw."""
    if _sdk is None:
        return
    with _sdk.new_scope() as scope:
        scope.set_tag("handler", handler)
        scope.capture_exception(error)


def _without_people(event: Any, _hint: Any) -> Any:
    """By its route, which `transaction` has: a path may hold a guest's key."""
    event["request"] = {"method": event.get("request", {}).get("method", "")}
    event.pop("user", None)
    for error in event.get("exception", {}).get("values", []):
        error["value"] = ""
    event.setdefault("tags", {})["correlation_id"] = correlation.correlation_id()
    return event
