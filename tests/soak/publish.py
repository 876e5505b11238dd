"""`python -m tests.soak.publish KIND COUNT [NUMBER]` in the shop's environment.

Each event is committed once, through whatever happens to the database meanwhile.
"""

import os
import sys
import time

import django


def main():
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.soak.settings"
    django.setup()
    from django.db import Error, IntegrityError, connection, transaction

    from notifications.mail.letters import queue_letter
    from notifications.pipeline.events import publish
    from orders.models import Order
    from tests.soak import handlers

    def letter(n, order):
        context = {"order": order, "lines": list(order.lines.all()), "order_url": "/", "attempt": order.last_attempt}
        once, to = f"soak:{n}", f"soak-{n}@example.com"
        queue_letter(once=once, template="orders/confirmation", to=to, context=context, about=order)

    def happen(n):
        if n % LETTERS == 0:
            letter(n, order)
        publish(handlers.SoakHappened(n=n), dedupe_key=f"soak:{n}")

    def turn(n):
        line, place = n % LINES, n // LINES
        publish(handlers.SoakTurn(line=line, n=place), about=f"soak:{line}", dedupe_key=f"turn:{n}")

    def once(act, n):
        while True:
            try:
                with transaction.atomic(durable=True):
                    act(n)
                return
            except IntegrityError:  # it was committed, and the answer got lost
                return
            except Error:
                connection.close()
                time.sleep(0.1)

    kind, count = sys.argv[1], int(sys.argv[2])
    if kind == "tables":
        with connection.cursor() as cursor:
            for table in handlers.TABLES:
                cursor.execute(table)
    elif kind == "poison":
        once(lambda _: publish(handlers.SoakPoison(), dedupe_key="poison"), 0)
    else:
        order = Order.objects.get(number=sys.argv[3]) if kind == "happen" else None
        for n in range(count):
            once({"happen": happen, "turn": turn}[kind], n)


LETTERS = 10  # every tenth event is a letter too
LINES = 50

if __name__ == "__main__":
    main()
