"""The deliveries that did not go well, as a noun of their own: what a person looks at and decides."""

from typing import Self

from django.db.models import Q

from notifications.pipeline.models import Delivery, DeliveryQuerySet


class FailureQuerySet(DeliveryQuerySet):
    def failing(self) -> Self:
        """Dead, or tried in vain and to be tried again, or being tried again now.

        Tries alone do not tell: a mail server that is away burns no attempt, and is still a failure to see.
        """
        known = self.open(Delivery.State.READY, Delivery.State.RUNNING, Delivery.State.DEAD)
        return known.filter(Q(state=Delivery.State.DEAD) | ~Q(last_error=""))


class Failure(Delivery):
    """A Delivery seen by the person who must mend it."""

    objects = FailureQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        proxy = True
        default_permissions = ("view",)
        permissions = [("decide_failure", "Can retry and discard deliveries")]
