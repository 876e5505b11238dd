"""Celery carries hints ("look at delivery 42"); the database is the queue."""

import os

from celery import Celery
from kombu.entity import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("waybill")
app.config_from_object("django.conf:settings", namespace="CELERY")
QUEUES = ("default", "mail", "images", "video", "shipping", "webhooks")
# Each its own routing key: with the default one, all would get a copy of every hint.
app.conf.task_queues = [Queue(name, routing_key=name) for name in QUEUES]  # type: ignore[no-untyped-call]
app.autodiscover_tasks(["notifications.pipeline"])
