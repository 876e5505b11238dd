"""What staff see of what happens after the commit."""

from contextlib import suppress

from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django_celery_results.models import GroupResult, TaskResult

from notifications.admin import audit, campaigns, deliveries, endpoints, events, failures, letters, workers

__all__ = ["audit", "campaigns", "deliveries", "endpoints", "events", "failures", "letters", "workers"]

# Deliveries are the record of what ran; Celery's own results would be a second, partial one.
for other in (TaskResult, GroupResult):
    with suppress(NotRegistered):
        admin.site.unregister(other)
