"""A letter: decided and written once, carried out by its own delivery."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Letter(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued"
        SENT = "sent"
        BOUNCED = "bounced"
        WITHDRAWN = "withdrawn"

    once = models.CharField(max_length=200, unique=True, help_text="Why this letter exists; a second is refused.")
    template = models.CharField(max_length=100)
    subject_ref = models.CharField(max_length=100, blank=True, help_text="What it is about, as “order:17”.")
    correlation_id = models.CharField(max_length=64, db_index=True)
    to = models.EmailField(max_length=254)
    subject = models.CharField(max_length=255)
    text = models.TextField()
    html = models.TextField()
    headers = models.JSONField(default=dict, help_text="Beyond those that every letter has.")
    message_id = models.CharField(max_length=255, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    queued_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("resend_letter", "Can send letters again")]
        constraints = [
            models.CheckConstraint(
                name="letter_sent_says_when",
                condition=Q(state__in=["queued", "withdrawn"], sent_at=None)
                | Q(state="sent", sent_at__isnull=False)
                | Q(state="bounced"),
            )
        ]
        indexes = [models.Index(fields=["subject_ref", "state"], name="letter_about")]

    def __str__(self) -> str:
        return f"{self.template} to {self.to}"
