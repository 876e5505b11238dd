"""The nouns of this app, gathered where Django looks for them."""

from notifications.audit.models import AuditEntry, AuditOrigin, AuditSeal
from notifications.campaigns.models import Campaign, Recipient, Subscriber
from notifications.mail.models import Letter
from notifications.personal_data.models import Erasure, Export
from notifications.pipeline.failures import Failure
from notifications.pipeline.models import Attempt, Brake, BulkDecision, Delivery, Effect, Event, Queue, Worker
from notifications.webhooks.models import Call, Endpoint

__all__ = [
    "Attempt",
    "AuditEntry",
    "AuditOrigin",
    "AuditSeal",
    "Brake",
    "BulkDecision",
    "Call",
    "Campaign",
    "Delivery",
    "Effect",
    "Endpoint",
    "Erasure",
    "Event",
    "Export",
    "Failure",
    "Letter",
    "Queue",
    "Recipient",
    "Subscriber",
    "Worker",
]
