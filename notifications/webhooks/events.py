from notifications.pipeline.events import DomainEvent


class WebhookQueued(DomainEvent, name="webhook.queued"):
    """Fires when somebody's endpoint is to be told of an event. It has not been called yet."""

    call_id: int


class WebhookTested(DomainEvent, name="webhook.tested"):
    """Fires when the owner of an endpoint asks for a call, to see whether it arrives."""

    endpoint_id: int


class EndpointListens(DomainEvent, name="webhook.endpoint_listens"):
    """Fires when an endpoint is new, is enabled again, or has chosen other events."""

    endpoint_id: int


class EndpointDisabled(DomainEvent, name="webhook.endpoint_disabled"):
    """Fires when an endpoint is no longer called. `by_itself`: nothing got through for days, or it said it is gone."""

    endpoint_id: int
    by_itself: bool
