"""`python -m tests.broker.burst NUMBER COUNT NAME`: that many letters about an order, committed at one moment.

Runs in the shop's environment, through the shop's own verbs: each letter is one row, one event, one delivery.
"""

import os
import sys

import django


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import transaction

    from notifications import correlation
    from notifications.mail.letters import queue_letter
    from orders.models import Order

    number, count, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    order = Order.objects.get(number=number)
    context = {"order": order, "lines": list(order.lines.all()), "order_url": "/", "attempt": order.last_attempt}
    with correlation.bound(correlation_id=name, actor="system"), transaction.atomic(durable=True):
        for n in range(count):
            once, to = f"{name}:{n}", f"{name}-{n}@example.com"
            queue_letter(once=once, template="orders/confirmation", to=to, context=context, about=order)


if __name__ == "__main__":
    main()
