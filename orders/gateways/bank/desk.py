"""The requests the bank understands, and what each does to the money."""

import hashlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orders.gateways.bank import forms
from orders.gateways.bank.answers import SILENCE, Answer, Refusal, missing_parameter, no_such
from orders.gateways.bank.bodies import event_body, intent_body, list_body, refund_body
from orders.gateways.bank.cards import CARDS, Card
from orders.gateways.bank.keys import MAX_LENGTH
from orders.gateways.bank.vault import CONFIRMABLE, Intent, Vault, new_id, unexpected_state
from orders.gateways.bank.webhooks import Webhooks


@dataclass(frozen=True)
class Request:
    """One API call, already read and authorised."""

    method: str
    path: str
    form: forms.Form
    key: str = ""

    @property
    def asked(self) -> str:
        """What two requests under one key must have in common."""
        return hashlib.sha256(repr((self.method, self.path, sorted(self.form.items()))).encode()).hexdigest()


class Desk:
    """Answers API calls. Thread-safe: each intent is guarded by its own lock."""

    def __init__(self, vault: Vault, webhooks: Webhooks, *, site: str, late: float) -> None:
        """`site` is our own address; `late` is how many seconds a late charge takes."""
        self._vault = vault
        self._webhooks = webhooks
        self._site = site
        self._late = late
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = [
            ("POST", re.compile("/v1/payment_intents"), self._open),
            ("POST", re.compile("/v1/payment_intents/([^/]+)/confirm"), self._confirm),
            ("POST", re.compile("/v1/payment_intents/([^/]+)/cancel"), self._cancel),
            ("POST", re.compile("/v1/refunds"), self._refund),
            ("GET", re.compile("/v1/payment_intents"), self._list_intents),
            ("GET", re.compile("/v1/payment_intents/([^/]+)"), self._retrieve),
            ("GET", re.compile("/v1/refunds"), self._list_refunds),
        ]
        for intent in vault.intents():
            if intent.status == "processing":
                self._collect_when_due(intent)

    def answer(self, request: Request, *, wait: Callable[[], None]) -> Answer:
        """Do what is asked, once per key. Raises Refusal.

        A request that is never answered holds its key while `wait` lasts, unless its answer is kept already.
        """
        if request.method != "POST" or not request.key:
            return self._done(request)
        if len(request.key) > MAX_LENGTH:
            raise Refusal(400, f"Idempotency keys are at most {MAX_LENGTH} characters long.", type="idempotency_error")
        replayed = self._vault.keys.replay(request.key, request.asked)
        return replayed or self._first(request, wait)

    def _first(self, request: Request, wait: Callable[[], None]) -> Answer:
        keys = self._vault.keys
        with keys.claimed(request.key):
            # Asked again under the claim: the request that held it may just have ended.
            replayed = keys.replay(request.key, request.asked)
            if replayed:
                return replayed
            answer = self._done(request)
            if answer.kept:
                keys.keep(request.key, request.asked, answer)
            elif answer.silent:
                wait()
        return answer

    def _done(self, request: Request) -> Answer:
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                return handler(request, *found.groups())
        raise Refusal(404, f"Unrecognized request URL ({request.method}: {request.path[:100]}).")

    # -- reading ------------------------------------------------------------------------------

    def _retrieve(self, _request: Request, id: str) -> Answer:
        return Answer(200, self._body(self._vault.intent(id)))

    def _list_intents(self, request: Request) -> Answer:
        since, until = _span(request.form)
        bodies = [self._body(intent) for intent in self._vault.intents() if since <= int(intent.created) <= until]
        return _page(bodies, request)

    def _list_refunds(self, request: Request) -> Answer:
        owner = request.form.get("payment_intent")
        bodies = [refund_body(refund) for refund in self._vault.refunds() if owner in (None, refund.intent)]
        return _page(bodies, request)

    # -- moving -------------------------------------------------------------------------------

    def _open(self, request: Request) -> Answer:
        form = request.form
        amount = forms.amount(form)
        if amount is None:
            raise missing_parameter("amount")
        if form.get("confirm") == "true":
            raise Refusal(400, "This bank takes the two steps one by one: create, then confirm.", param="confirm")
        if forms.listed(form, "payment_method_types"):
            raise Refusal(
                400, "Use allowed_payment_method_types instead.", code="payment_method_types_no_longer_supported"
            )
        intent = Intent(new_id("pi"), amount, forms.currency(form), forms.bracketed(form, "metadata"), time.time())
        intent.description = form.get("description", "")
        if "payment_method" in form:
            _card(form["payment_method"])
            intent.payment_method, intent.status = form["payment_method"], "requires_confirmation"
        self._vault.open(intent)
        return Answer(200, self._body(intent))

    def _confirm(self, request: Request, id: str) -> Answer:
        intent = self._vault.intent(id)
        name = request.form.get("payment_method", intent.payment_method)
        card = _card(name)
        time.sleep(card.pause)  # outside the lock: who cancels meanwhile, wins
        with intent.lock:
            if intent.status == "succeeded" and request.key and intent.key == request.key:
                return Answer(200, self._body(intent))  # a crash took the kept answer, not the charge
            if intent.status not in CONFIRMABLE:
                raise unexpected_state(intent, "confirm")
            intent.payment_method, intent.key = name, request.key
            intent.return_url = request.form.get("return_url", "")
            return self._play(card, intent)

    def _play(self, card: Card, intent: Intent) -> Answer:
        if card.deaf:
            return SILENCE
        if card.late:
            return self._postpone(intent)
        if card.challenge:
            intent.status = "requires_action"
            self._vault.save(intent)
            return Answer(200, self._body(intent))
        if card.decline_code:
            return self._decline(intent, code="card_declined", decline_code=card.decline_code)
        self._charge(intent, surcharge=card.surcharge)
        if card.breaks:
            return Answer(500, {"error": {"type": "api_error", "message": "Something went wrong on the bank's end."}})
        return Answer(200, self._body(intent), silent=card.mute)

    def _cancel(self, request: Request, id: str) -> Answer:
        intent = self._vault.intent(id)
        self._vault.void(intent, key=request.key)
        return Answer(200, self._body(intent))

    def _refund(self, request: Request) -> Answer:
        form = request.form
        if "payment_intent" not in form:
            raise missing_parameter("payment_intent")
        made = self._vault.refund(
            self._vault.intent(form["payment_intent"], param="payment_intent", status=400),
            amount=forms.amount(form),
            reason=form.get("reason", ""),
            metadata=forms.bracketed(form, "metadata"),
            key=request.key,
        )
        return Answer(200, refund_body(made))

    # -- the buyer's own page -----------------------------------------------------------------

    def challenge(self, id: str) -> Intent:
        """The intent whose buyer looks at the page. Raises Refusal when there is none."""
        return self._vault.intent(id)

    def decide(self, id: str, *, approved: bool) -> Intent:
        """The buyer approved or refused; a second click changes nothing. Raises Refusal for an unknown intent."""
        intent = self._vault.intent(id)
        with intent.lock:
            if intent.status == "requires_action" and approved:
                self._charge(intent)
            elif intent.status == "requires_action":
                self._decline(
                    intent, code="payment_intent_authentication_failure", decline_code="authentication_failure"
                )
        return intent

    # -- the movements, and who is told -------------------------------------------------------

    def _charge(self, intent: Intent, *, surcharge: int = 0, tell: int = 1) -> None:
        self._vault.charge(intent, surcharge=surcharge)
        self._tell("payment_intent.succeeded", intent, times=tell)

    def _decline(self, intent: Intent, *, code: str, decline_code: str) -> Answer:
        self._vault.decline(intent, code=code, decline_code=decline_code)
        self._tell("payment_intent.payment_failed", intent)
        return Answer(402, {"error": {**(intent.error or {}), "payment_intent": self._body(intent)}})

    def _postpone(self, intent: Intent) -> Answer:
        intent.status, intent.due = "processing", time.time() + self._late
        self._vault.save(intent)
        self._collect_when_due(intent)
        return SILENCE

    def _collect_when_due(self, intent: Intent) -> None:
        timer = threading.Timer(max(0.0, intent.due - time.time()), self._charge, [intent], {"tell": 2})
        timer.daemon = True
        timer.start()

    def _tell(self, type: str, intent: Intent, *, times: int = 1) -> None:
        self._webhooks.send(event_body(type, intent, at=time.time(), site=self._site), times=times)

    def _body(self, intent: Intent) -> dict[str, Any]:
        return intent_body(intent, site=self._site)


def _card(name: str) -> Card:
    if not name:
        raise missing_parameter("payment_method")
    card = CARDS.get(name)
    if card is None:
        raise no_such("PaymentMethod", name, param="payment_method", status=400)
    return card


def _span(form: forms.Form) -> tuple[int, float]:
    created = forms.bracketed(form, "created")
    since = forms.whole(created["gte"], param="created[gte]") if "gte" in created else 0
    until = forms.whole(created["lte"], param="created[lte]") if "lte" in created else float("inf")
    return since, until


def _page(bodies: list[dict[str, Any]], request: Request) -> Answer:
    limit = forms.whole(request.form.get("limit", "10"), param="limit")
    if not 1 <= limit <= 100:
        raise Refusal(400, "The limit is 1 to 100.", code="parameter_invalid_integer", param="limit")
    after = request.form.get("starting_after")
    ids = [body["id"] for body in bodies]
    if after is not None and after not in ids:
        raise no_such("object", after, param="starting_after", status=400)
    start = 0 if after is None else ids.index(after) + 1
    page = bodies[start : start + limit]
    return Answer(200, list_body(page, url=request.path, more=start + limit < len(bodies)))
