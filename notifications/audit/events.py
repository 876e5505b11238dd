from notifications.pipeline.events import DomainEvent


class AuditSealed(DomainEvent, name="audit.sealed"):
    """Fires when entries of the audit log are sealed. A second place that knows the seal: to take one away, or to
    make another, is to change both."""

    number: int
    digest: str
