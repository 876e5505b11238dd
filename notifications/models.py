"""The nouns of this app, gathered where Django looks for them."""

from notifications.mail.models import Letter
from notifications.pipeline.failures import Failure
from notifications.pipeline.models import Attempt, Brake, BulkDecision, Delivery, Effect, Event, Queue, Worker

__all__ = ["Attempt", "Brake", "BulkDecision", "Delivery", "Effect", "Event", "Failure", "Letter", "Queue", "Worker"]
