"""The movements of money, and who is told of each."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from orders.gateways.bank.bodies import Body, charge_body, event_body, intent_body, refund_body
from orders.gateways.bank.cards import CARDS, Card
from orders.gateways.bank.papers import Intent, Refund, new_id
from orders.gateways.bank.vault import Vault
from orders.gateways.bank.webhooks import Webhooks

MUTE: Final = 0.6  # of the time that a late charge takes: 12 seconds as a rule, longer than any client waits


class Clerk:
    """Moves money in the vault and writes to the shop about it. Raises what the vault raises."""

    def __init__(self, vault: Vault, webhooks: Webhooks, *, site: str, late: float) -> None:
        """`site` is our own address; `late` is how many seconds a late charge or a slow refund takes."""
        self._vault = vault
        self._webhooks = webhooks
        self._site = site
        self._late = late

    def resume(self) -> None:
        """Go on with what was under way when the bank died."""
        for intent in self._vault.intents():
            if intent.status == "processing":
                _at(intent.due, self._collect_at_last, intent)
        for refund in self._vault.refunds():
            if refund.due:
                _at(refund.due, self.end, refund)

    def body(self, intent: Intent) -> Body:
        return intent_body(intent, site=self._site)

    def with_charge(self, intent: Intent) -> Body:
        """The intent with its latest charge written out."""
        body = self.body(intent)
        if body["latest_charge"]:
            body["latest_charge"] = charge_body(intent, refunded=self._vault.refunded(intent))
        return body

    # -- taking -------------------------------------------------------------------------------

    def collect(self, intent: Intent, *, surcharge: int = 0, tell: int = 1, mute: bool = False) -> None:
        """The card agreed: take the money, or hold it where the shop wants to take it later.

        A bank that has lost its voice is mute for everybody: it tells when the caller has long given up.
        """
        if intent.manual:
            self._vault.authorize(intent, surcharge=surcharge)
            type = "payment_intent.amount_capturable_updated"
        else:
            self._vault.charge(intent, surcharge=surcharge)
            type = "payment_intent.succeeded"
        if mute:
            _at(time.time() + MUTE * self._late, self.tell, type, intent)
        else:
            self.tell(type, intent, times=tell)

    def collect_late(self, intent: Intent) -> None:
        intent.status, intent.due = "processing", time.time() + self._late
        self._vault.save(intent)
        _at(intent.due, self._collect_at_last, intent)

    def _collect_at_last(self, intent: Intent) -> None:
        with intent.lock:
            if intent.status == "processing":
                self.collect(intent, tell=2)

    def collect_regardless(self, intent: Intent) -> None:
        """Take the money of an intent that was called off: a network's late success."""
        self._vault.charge(intent, forced=True)
        self.tell("payment_intent.succeeded", intent)

    def challenge(self, intent: Intent) -> None:
        """The buyer has to approve first."""
        intent.status = "requires_action"
        self._vault.save(intent)
        self.tell("payment_intent.requires_action", intent)

    def decline(self, intent: Intent, *, code: str, decline_code: str) -> None:
        self._vault.decline(intent, code=code, decline_code=decline_code)
        self.tell("payment_intent.payment_failed", intent)

    def capture(self, intent: Intent, *, key: str) -> None:
        self._vault.capture(intent, key=key)
        self.tell("payment_intent.succeeded", intent)

    def void(self, intent: Intent, *, key: str) -> None:
        self._vault.void(intent, key=key)
        self.tell("payment_intent.canceled", intent)

    # -- giving back --------------------------------------------------------------------------

    def refund(self, intent: Intent, *, amount: int, reason: str, metadata: dict[str, str], key: str) -> Refund:
        """Give back `amount`, 0 for all that is left; the card says what becomes of it."""
        card, now = CARDS.get(intent.payment_method, Card()), time.time()
        asked = Refund(new_id("re"), intent.id, amount, intent.currency, reason, metadata, now, key)
        if card.refund_end:
            asked = replace(asked, status=card.refund_first, due=now + self._late, end=card.refund_end)
        made = self._vault.refund(asked)
        if made.id == asked.id:
            self._tell_of_refund("refund.created", made)
            refunded = self._vault.refunded(intent)
            self._send("charge.refunded", charge_body(intent, refunded=refunded), key=key)
            if made.due:
                _at(made.due, self.end, made)
        return made

    def end(self, refund: Refund) -> None:
        """The way of this refund ends."""
        ended = self._vault.end(refund)
        self._tell_of_refund("refund.updated", ended)
        if ended.status == "failed":
            self._tell_of_refund("refund.failed", ended)

    # -- telling ------------------------------------------------------------------------------

    def tell(self, type: str, intent: Intent, *, times: int = 1) -> None:
        self._send(type, self.body(intent), key=intent.key, times=times)

    def _tell_of_refund(self, type: str, refund: Refund) -> None:
        self._send(type, refund_body(refund), key=refund.key)

    def _send(self, type: str, subject: Body, *, key: str, times: int = 1) -> None:
        self._webhooks.send(event_body(type, subject, at=time.time(), key=key), times=times)


def _at(moment: float, act: Callable[..., None], *given: Any) -> None:
    timer = threading.Timer(max(0.0, moment - time.time()), act, given)
    timer.daemon = True
    timer.start()
