"""The requests the bank understands, and what each asks of the clerk."""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from orders.gateways.bank import faults, forms, lists
from orders.gateways.bank.answers import BROKEN, SILENCE, Answer, Manner, Refusal, missing_parameter, no_such
from orders.gateways.bank.bodies import refund_body
from orders.gateways.bank.cards import CARDS, Card
from orders.gateways.bank.clerk import Clerk
from orders.gateways.bank.faults import Faults, Mode
from orders.gateways.bank.keys import MAX_LENGTH
from orders.gateways.bank.papers import CONFIRMABLE, Intent, new_id, unexpected_state
from orders.gateways.bank.vault import Vault

REFUND_REASONS = ("", "duplicate", "fraudulent", "requested_by_customer")


@dataclass(frozen=True)
class Request:
    """One API call, already read and authorised."""

    method: str
    path: str
    form: forms.Form
    key: str = ""
    fault: Mode | None = None

    @property
    def asked(self) -> str:
        """What two requests under one key must have in common."""
        return hashlib.sha256(repr((self.method, self.path, sorted(self.form.items()))).encode()).hexdigest()


class Desk:
    """Answers API calls. Thread-safe: each intent is guarded by its own lock."""

    def __init__(self, vault: Vault, clerk: Clerk, faults: Faults) -> None:
        self._vault = vault
        self._clerk = clerk
        self._faults = faults
        # What a fault is planned for goes by these names.
        self._routes: list[tuple[str, str, re.Pattern[str], Callable[..., Answer]]] = [
            ("create", "POST", re.compile("/v1/payment_intents"), self._open),
            ("confirm", "POST", re.compile("/v1/payment_intents/([^/]+)/confirm"), self._confirm),
            ("capture", "POST", re.compile("/v1/payment_intents/([^/]+)/capture"), self._capture),
            ("cancel", "POST", re.compile("/v1/payment_intents/([^/]+)/cancel"), self._cancel),
            ("refund", "POST", re.compile("/v1/refunds"), self._refund),
            ("list", "GET", re.compile("/v1/payment_intents"), self._list_intents),
            ("retrieve", "GET", re.compile("/v1/payment_intents/([^/]+)"), self._retrieve),
            ("refunds", "GET", re.compile("/v1/refunds"), self._list_refunds),
        ]

    def answer(self, request: Request, *, wait: Callable[[], None]) -> Answer:
        """Do what is asked, once per key. Raises Refusal.

        A request that is never answered holds its key while `wait` lasts, unless its answer is kept already.
        """
        name, handler, given = self._route(request)
        fault = self._faults.take(name)
        request = replace(request, fault=fault)
        refused = faults.at_the_door(fault)
        return refused or faults.spoiled(fault, self._once(request, lambda: handler(request, *given), wait))

    def _route(self, request: Request) -> tuple[str, Callable[..., Answer], tuple[str, ...]]:
        for name, method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                return name, handler, found.groups()
        raise Refusal(404, f"Unrecognized request URL ({request.method}: {request.path[:100]}).")

    def _once(self, request: Request, act: Callable[[], Answer], wait: Callable[[], None]) -> Answer:
        if request.method != "POST" or not request.key:
            return faults.worked(request.fault, act)
        if len(request.key) > MAX_LENGTH:
            raise Refusal(400, f"Idempotency keys are at most {MAX_LENGTH} characters long.", type="idempotency_error")
        replayed = self._vault.keys.replay(request.key, request.asked)
        return replayed or self._first(request, act, wait)

    def _first(self, request: Request, act: Callable[[], Answer], wait: Callable[[], None]) -> Answer:
        keys = self._vault.keys
        with keys.claimed(request.key):
            # Asked again under the claim: the request that held it may just have ended.
            replayed = keys.replay(request.key, request.asked)
            if replayed:
                return replayed
            answer = faults.worked(request.fault, act)
            if answer.kept:
                keys.keep(request.key, request.asked, answer)
            elif answer.silent:
                wait()
        return answer

    # -- reading ------------------------------------------------------------------------------

    def _retrieve(self, _request: Request, id: str) -> Answer:
        return self._told(self._vault.intent(id))

    def _list_intents(self, request: Request) -> Answer:
        wanted = [value for name, value in request.form.items() if name.partition("[")[0] == "expand"]
        if set(wanted) - {"data.latest_charge"}:
            raise Refusal(400, "This bank expands data.latest_charge only.", param="expand")
        body = self._clerk.with_charge if wanted else self._clerk.body
        return lists.answered(self._vault.intents(), request.form, body, url=request.path)

    def _list_refunds(self, request: Request) -> Answer:
        owner = request.form.get("payment_intent")
        intent = None if owner is None else self._vault.intent(owner, param="payment_intent")
        return lists.answered(self._vault.refunds(intent), request.form, refund_body, url=request.path)

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
        intent.description, intent.manual = form.get("description", ""), _manual(form)
        if "payment_method" in form:
            _card(form["payment_method"])
            intent.payment_method, intent.status = form["payment_method"], "requires_confirmation"
        self._vault.open(intent)
        return self._told(intent)

    def _confirm(self, request: Request, id: str) -> Answer:
        intent = self._vault.intent(id)
        name = request.form.get("payment_method", intent.payment_method)
        card = _misled(_card(name), request.fault, intent)
        time.sleep(card.pause)  # outside the lock: who cancels meanwhile, wins
        with intent.lock:
            if intent.status in ("succeeded", "requires_capture") and request.key and intent.key == request.key:
                return self._told(intent)  # a crash took the kept answer, not the charge
            if intent.status not in CONFIRMABLE:
                raise unexpected_state(intent, "confirm")
            intent.payment_method, intent.key = name, request.key
            intent.return_url = request.form.get("return_url", "")
            return self._play(card, intent)

    def _play(self, card: Card, intent: Intent) -> Answer:
        if card.deaf:
            return SILENCE
        if card.late:
            self._clerk.collect_late(intent)
            return SILENCE
        if card.challenge:
            self._clerk.challenge(intent)
            return self._told(intent)
        if card.decline_code:
            return self._declined(intent, code="card_declined", decline_code=card.decline_code)
        intent.currency = card.currency or intent.currency
        self._clerk.collect(intent, surcharge=card.surcharge, mute=card.mute or card.breaks)
        if card.breaks:
            return BROKEN
        return replace(self._told(intent), manner=Manner.HANG if card.mute else Manner.WHOLE)

    def _capture(self, request: Request, id: str) -> Answer:
        intent = self._vault.intent(id)
        if "amount_to_capture" in request.form:
            raise Refusal(400, "This bank captures all that is held.", param="amount_to_capture")
        self._clerk.capture(intent, key=request.key)
        return self._told(intent)

    def _cancel(self, request: Request, id: str) -> Answer:
        intent = self._vault.intent(id)
        self._clerk.void(intent, key=request.key)
        return self._told(intent)

    def _refund(self, request: Request) -> Answer:
        form = request.form
        if "payment_intent" not in form:
            raise missing_parameter("payment_intent")
        if form.get("reason", "") not in REFUND_REASONS:
            raise Refusal(400, "Invalid reason.", code="parameter_invalid", param="reason")
        made = self._clerk.refund(
            self._vault.intent(form["payment_intent"], param="payment_intent", status=400),
            amount=forms.amount(form) or 0,
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
                self._clerk.collect(intent)
            elif intent.status == "requires_action":
                self._declined(
                    intent, code="payment_intent_authentication_failure", decline_code="authentication_failure"
                )
        return intent

    # -- answers ------------------------------------------------------------------------------

    def _told(self, intent: Intent) -> Answer:
        return Answer(200, self._clerk.body(intent))

    def _declined(self, intent: Intent, *, code: str, decline_code: str) -> Answer:
        self._clerk.decline(intent, code=code, decline_code=decline_code)
        return Answer(402, {"error": {**(intent.error or {}), "payment_intent": self._clerk.body(intent)}})


def _card(name: str) -> Card:
    if not name:
        raise missing_parameter("payment_method")
    card = CARDS.get(name)
    if card is None:
        raise no_such("PaymentMethod", name, param="payment_method", status=400)
    return card


def _misled(card: Card, fault: Mode | None, intent: Intent) -> Card:
    """The card, taking what it should not when a fault says so."""
    if fault is Mode.WRONG_AMOUNT:
        return replace(card, surcharge=100)
    if fault is Mode.WRONG_CURRENCY:
        return replace(card, currency="usd" if intent.currency != "usd" else "eur")
    return card


def _manual(form: forms.Form) -> bool:
    method = form.get("capture_method", "automatic")
    if method not in ("automatic", "automatic_async", "manual"):
        raise Refusal(400, f"Invalid capture_method: {method[:40]}", code="parameter_invalid", param="capture_method")
    return method == "manual"
