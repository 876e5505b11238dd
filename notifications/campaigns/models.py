"""Who wants our newsletter, and which letter of which campaign went to whom."""

import secrets

from django.db import models
from django.db.models import Q
from django.utils import timezone


def new_token() -> str:
    return secrets.token_urlsafe(24)


class Subscriber(models.Model):
    """An address on the mailing list. Only who has said yes by a letter's link is written to."""

    class State(models.TextChoices):
        ASKED = "asked"
        CONFIRMED = "confirmed"
        LEFT = "left"
        BOUNCED = "bounced"
        COMPLAINED = "complained"

    email = models.EmailField("e-mail address", max_length=254, unique=True, help_text="In small letters.")
    name = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    token = models.CharField(max_length=64, unique=True, default=new_token, help_text="In the links of its letters.")
    asked_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="subscriber_confirmed_says_when",
                condition=~Q(state="confirmed") | Q(confirmed_at__isnull=False, ended_at=None),
            ),
            models.CheckConstraint(
                name="subscriber_ended_says_when",
                condition=~Q(state__in=["left", "bounced", "complained"]) | Q(ended_at__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["state", "id"], name="subscriber_state")]

    def __str__(self) -> str:
        return self.email


class Campaign(models.Model):
    """One letter to everybody on the list. It goes out a few at a time, and its rows know how far it is."""

    class State(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"

    name = models.SlugField(max_length=60, unique=True, help_text="For the command line: manage.py campaign send NAME")
    subject = models.CharField(max_length=200, help_text="One line. {name} becomes the reader's name.")
    text = models.TextField(help_text="Paragraphs with empty lines between them. {name} becomes the reader's name.")
    per_minute = models.PositiveIntegerField(default=600, help_text="So many letters a minute at most.")
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    note = models.CharField(max_length=200, blank=True, help_text="Why it was paused, when no person did it.")
    fuse_overridden = models.BooleanField(default=False, help_text="It goes on though many letters bounce.")
    driven_by = models.ForeignKey("notifications.Event", null=True, on_delete=models.PROTECT, related_name="+")
    total = models.PositiveIntegerField(null=True, help_text="Recipients; none until it was begun.")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("send_campaign", "Can start, pause and resume campaigns")]
        constraints = [
            models.CheckConstraint(
                name="campaign_some_a_minute", condition=Q(per_minute__gte=1, per_minute__lte=6_000)
            ),
            models.CheckConstraint(
                name="campaign_started_says_when", condition=Q(state="draft") | Q(started_at__isnull=False)
            ),
            models.CheckConstraint(
                name="campaign_done_says_when",
                condition=Q(state="done", finished_at__isnull=False) | ~Q(state="done") & Q(finished_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Recipient(models.Model):
    """One subscriber and one campaign: there is one letter of it, or the word why there is none."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="recipients")
    subscriber = models.ForeignKey(Subscriber, on_delete=models.PROTECT, related_name="received")
    letter = models.OneToOneField("notifications.Letter", null=True, on_delete=models.PROTECT, related_name="recipient")
    skipped = models.BooleanField(default=False, help_text="Was no longer on the list when its turn came.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "subscriber"], name="recipient_once_per_campaign"),
            models.CheckConstraint(name="recipient_letter_or_skipped", condition=Q(letter=None) | Q(skipped=False)),
        ]
        indexes = [
            models.Index(fields=["campaign", "id"], name="recipient_open", condition=Q(letter=None, skipped=False))
        ]

    def __str__(self) -> str:
        return f"{self.campaign} to {self.subscriber}"
