"""What happens around a delivery in a Celery worker."""

from celery import current_app
from celery.fixups.django import DjangoWorkerFixup
from django.db import connection, connections

from notifications.pipeline import tasks


def test_celery_leaves_the_connection_open_between_two_tasks(transactional_db):
    connection.ensure_connection()
    kept = connection.connection

    DjangoWorkerFixup(current_app).close_database()

    assert connection.connection is kept


def test_a_connection_that_broke_meanwhile_is_replaced_and_no_hint_is_lost(
    subscribe, pack, sorted_parcels, monkeypatch, executor, the_delivery
):
    monkeypatch.setattr(tasks.executor, "of_this_process", lambda: executor)
    pack()
    broken = connection.connection
    connections["default"].errors_occurred = True
    monkeypatch.setattr(connections["default"], "is_usable", lambda: connection.connection is not broken)

    assert tasks.deliver(the_delivery().pk) == 1
    assert sorted_parcels == [7]
    assert connection.connection is not broken
