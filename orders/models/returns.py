from django.db import models
from django.db.models import Q
from django.utils import timezone


class ReturnRequest(models.Model):
    """A buyer wants to send things back. It is open until staff have taken goods back, or said no.

    `units` is a list of [SKU, quantity].
    """

    class State(models.TextChoices):
        OPEN = "open"
        ACCEPTED = "accepted"  # goods came back
        DECLINED = "declined"

    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="return_requests")
    units = models.JSONField()
    words = models.CharField(max_length=1000, help_text="Why, as the buyer says it.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    answer = models.CharField(max_length=200, blank=True, help_text="Why not, as staff say it.")
    actor = models.CharField(max_length=100, help_text="Who has asked.")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="return_one_open", fields=["order"], condition=Q(state="open")),
            models.CheckConstraint(name="return_state_known", condition=Q(state__in=["open", "accepted", "declined"])),
            models.CheckConstraint(
                name="return_end_says_when",
                condition=Q(state="open", finished_at=None) | ~Q(state="open") & Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"return of {self.order}"


class ReturnPicture(models.Model):
    """What the buyer shows of the thing."""

    request = models.ForeignKey(ReturnRequest, on_delete=models.CASCADE, related_name="pictures")
    upload = models.ForeignKey("uploads.Upload", on_delete=models.CASCADE, related_name="+")  # its owner may delete it

    class Meta:
        constraints = [models.UniqueConstraint(name="return_picture_once", fields=["request", "upload"])]

    def __str__(self) -> str:
        return f"picture for the {self.request}"
