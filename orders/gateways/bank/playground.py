"""What only a stand-in has, and only with --playground: faults to switch on, and the hands of a person at Stripe.

All of it is JSON by POST, without a key. Nothing here survives the death of the bank.

    /test/faults            {"path", "mode", "times"}   path and mode as in `faults`; times null: until called off;
                                                        mode "none" calls off
    /test/webhooks          {"mode", "copies", "seconds"}   how events are sent from now on, see `webhooks.Order`
    /test/events            {}                          -> what happened, sent or not
    /test/events/resend     {"id", "times"}             one event, or all without an id
    /test/dashboard/refund  {"intent", "amount"}        a refund made by hand; all that is left without an amount
    /test/dashboard/charge  {"intent"}                  a late success: the money of a declined or cancelled intent
                                                        is taken all the same
"""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

from orders.gateways.bank.answers import Answer, Refusal
from orders.gateways.bank.bodies import refund_body
from orders.gateways.bank.clerk import Clerk
from orders.gateways.bank.faults import ANY, PATHS, Faults, Mode
from orders.gateways.bank.vault import Vault
from orders.gateways.bank.webhooks import Order, Plan, Webhooks

Asked = dict[str, Any]
Choice = TypeVar("Choice")

PREFIX: Final = "/test/"
AT_CONFIRM: Final = (Mode.WRONG_AMOUNT, Mode.WRONG_CURRENCY)


class Playground:
    """Answers what is posted below /test/."""

    def __init__(self, vault: Vault, clerk: Clerk, faults: Faults, webhooks: Webhooks) -> None:
        self._vault = vault
        self._clerk = clerk
        self._faults = faults
        self._webhooks = webhooks
        self._acts: dict[str, Callable[[Asked], Asked]] = {
            "faults": self._fault,
            "webhooks": self._plan,
            "events": lambda _asked: {"events": webhooks.events()},
            "events/resend": self._resend,
            "dashboard/refund": self._refund,
            "dashboard/charge": self._charge,
        }

    def answer(self, method: str, path: str, body: str) -> Answer:
        """Do it at once. Raises Refusal."""
        act = self._acts.get(path.removeprefix(PREFIX))
        if method != "POST" or act is None:
            raise Refusal(404, f"This playground has no {path[:100]}.")
        return Answer(200, act(_parsed(body)))

    def _fault(self, asked: Asked) -> Asked:
        path = _one_of(PATHS, asked.get("path", ANY), "path")
        if asked.get("mode") == "none":
            self._faults.call_off(path)
            return {}
        mode = Mode(_one_of([mode.value for mode in Mode], asked.get("mode"), "mode"))
        if mode in AT_CONFIRM and path != "confirm":
            raise _wrong("mode")
        times = asked.get("times")
        self._faults.plan(path, mode, times=None if times is None else _number(times, "times"))
        return {}

    def _plan(self, asked: Asked) -> Asked:
        mode = _one_of([mode.value for mode in Order], asked.get("mode"), "mode")
        copies, seconds = _number(asked.get("copies", 2), "copies"), asked.get("seconds", 1)
        if not isinstance(seconds, int | float) or not 0 <= seconds < 3600:
            raise _wrong("seconds")
        self._webhooks.follow(Plan(Order(mode), copies, float(seconds)))
        return {}

    def _resend(self, asked: Asked) -> Asked:
        return {
            "sent": self._webhooks.resend(id=str(asked.get("id", "")), times=_number(asked.get("times", 1), "times"))
        }

    def _refund(self, asked: Asked) -> Asked:
        amount = _number(asked.get("amount", 0), "amount")
        intent = self._vault.intent(str(asked.get("intent")), status=400)
        return refund_body(self._clerk.refund(intent, amount=amount, reason="", metadata={}, key=""))

    def _charge(self, asked: Asked) -> Asked:
        intent = self._vault.intent(str(asked.get("intent")), status=400)
        self._clerk.collect_regardless(intent)
        return self._clerk.body(intent)


def _parsed(body: str) -> Asked:
    try:
        asked = json.loads(body or "{}")
    except (ValueError, RecursionError):
        raise Refusal(400, "Not JSON.") from None
    if not isinstance(asked, dict):
        raise Refusal(400, "Not an object.")
    return asked


def _one_of(choices: tuple[Choice, ...] | list[Choice], value: Any, param: str) -> Choice:
    if value not in choices:
        raise _wrong(param)
    return choices[choices.index(value)]


def _number(value: Any, param: str) -> int:
    if not isinstance(value, int) or not 0 <= value < 10**9:
        raise _wrong(param)
    return value


def _wrong(param: str) -> Refusal:
    return Refusal(400, f"Invalid {param}.", code="parameter_invalid", param=param)
