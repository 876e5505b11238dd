"""The Django signals of the pipeline.

published: sent inside the publisher's transaction, after the Event row exists.
    sender: the event's class; event: the typed event; record: its Event row.
    A receiver may answer with an unsaved Delivery, which is inserted with all the others,
    or raise, which refuses the whole transaction.
buried: sent after a delivery died. sender: Delivery; delivery: the dead row.
"""

from django.dispatch import Signal

published = Signal()
buried = Signal()
