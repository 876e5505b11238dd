"""What the shop does with an order, and why each step is where it is: for `manage.py pipeline advise`."""

from notifications.pipeline.advice import Answers
from notifications.pipeline.steps import Step, describe

describe(
    Step(
        title="Place the order",
        answers=Answers(answer=True, undo=True, money=True, once=True),
        note="order, lines, stock holds and the payment attempt are one transaction, under the buyer's key.",
        verb="orders.checkout.place_order",
    ),
    Step(
        title="Ask the gateway for the money",
        answers=Answers(answer=True, money=True, external=True, once=True),
        note="between two transactions, none open; the attempt's id is the gateway's key.",
        verb="orders.checkout.place_order",
    ),
    Step(
        title="Settle the payment",
        answers=Answers(answer=True, undo=True, money=True, once=True),
        note="the only one that says “paid”; request, webhook and recovery may all call it.",
        verb="orders.payments.settle",
    ),
    Step(
        title="Cancel an order",
        answers=Answers(answer=True, money=True, once=True),
        note="goods go back and the refund is decided in one transaction.",
        verb="orders.fulfilment.cancel",
    ),
    Step(
        title="Ship a parcel",
        answers=Answers(answer=True, money=True, once=True),
        note="the parcel and what is left of the order change together.",
        verb="orders.fulfilment.ship",
    ),
    Step(
        title="Find out about an unanswered payment",
        answers=Answers(money=True, external=True, once=True, slow=True),
        note="the attempt says “unknown” in the request; the handler asks by its key until the bank knows.",
        verb="orders.payments.settle",
        handler="orders.ask_gateway",
    ),
    Step(
        title="Give money back",
        answers=Answers(money=True, external=True, once=True),
        note="the refund is a row, counted against what was taken, before the gateway hears of it.",
        verb="orders.refunds.refund",
        handler="orders.carry_out_refund",
    ),
    Step(
        title="Confirm the order by e-mail",
        answers=Answers(once=True),
        note="one letter row for each order, written exactly once; posting it is a step of its own.",
        handler="orders.email_confirmation",
    ),
    Step(
        title="Tell the shipping department",
        answers=Answers(once=True),
        note="a letter row too, in a queue of its own.",
        handler="orders.notify_shipping",
    ),
    Step(
        title="Compare our books with the gateway's",
        answers=Answers(external=True, slow=True),
        note="on the hour; what differs becomes a row that a person decides about.",
        handler="orders.compare_with_the_gateway",
    ),
)
