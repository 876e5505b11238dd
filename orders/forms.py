"""The one form of the shop: who, where to, how, and with which card."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.postal import AddressForm


@dataclass(frozen=True, kw_only=True)
class TrialCard:
    payment_method: str
    name: str | Promise
    words: str | Promise


# Stripe's own test names work at Stripe too; the pm_bank ones only at the stand-in.
STRIPE_CARDS: Final = (
    TrialCard(payment_method="pm_card_visa", name=_("A card that works"), words=_("The bank says yes at once.")),
    TrialCard(
        payment_method="pm_card_chargeDeclined",
        name=_("Declined"),
        words=_("The bank says no. Nothing is charged, and the goods go back on the shelf."),
    ),
    TrialCard(
        payment_method="pm_card_chargeDeclinedInsufficientFunds",
        name=_("Not enough money"),
        words=_("The bank says no, and why."),
    ),
    TrialCard(
        payment_method="pm_card_authenticationRequired",
        name=_("3-D Secure"),
        words=_("The bank asks you on its own page. Say yes there, or no, or just leave it."),
    ),
)
BANK_CARDS: Final = (
    TrialCard(
        payment_method="pm_bank_late_success",
        name=_("Pays late"),
        words=_("The bank takes the money when nobody waits any more. The shop sends the things, or gives it back."),
    ),
    TrialCard(
        payment_method="pm_bank_wrong_amount",
        name=_("Wrong amount"),
        words=_("The bank takes more than was asked. Nothing is sold, and all of it goes back."),
    ),
    TrialCard(payment_method="pm_bank_slow", name=_("Slow bank"), words=_("The bank says yes, after three seconds.")),
    TrialCard(
        payment_method="pm_bank_timeout_before_charge",
        name=_("No answer, not charged"),
        words=_("The bank hangs up before taking money. The shop asks again until it knows."),
    ),
    TrialCard(
        payment_method="pm_bank_timeout_after_charge",
        name=_("No answer, but charged"),
        words=_("The bank takes the money and never says so. The shop finds out, and charges once."),
    ),
    TrialCard(
        payment_method="pm_bank_error_after_charge",
        name=_("Error, but charged"),
        words=_("The bank takes the money, then answers with an error. The shop finds out, and charges once."),
    ),
)


def trial_cards() -> tuple[TrialCard, ...]:
    """The cards a buyer may try here: none with a live Stripe key, or where they type one in."""
    if settings.STRIPE_PUBLISHABLE_KEY or not settings.STRIPE_SECRET_KEY.startswith("sk_test_"):
        return ()
    return STRIPE_CARDS + BANK_CARDS if settings.LOCAL else STRIPE_CARDS


def _card_field() -> forms.Field:
    """Stripe's name for the card that the buyer typed in there; a number typed in here is refused unread."""
    refusal = {"required": _("The card was not taken in. Type it in again.")}
    refusal["invalid"] = refusal["required"]
    return forms.RegexField(r"^pm_[A-Za-z0-9_]+$", max_length=100, label=_("Card"), error_messages=refusal)


class CheckoutForm(AddressForm):
    email = forms.EmailField(
        label=_("E-mail"),
        help_text=_("For the confirmation and the link to your order."),
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    # Which ways there are is asked once, where the price is: what it refuses is shown beside this field.
    shipping_method = forms.CharField(label=_("Delivery"), max_length=30)
    payment_method = forms.ChoiceField(
        label=_("Card"), choices=lambda: [(card.payment_method, card.name) for card in trial_cards()]
    )
    voucher = forms.CharField(label=_("Voucher"), max_length=40, required=False)
    # Made anew by each rendering: the same key twice is the same press of the button.
    key = forms.UUIDField(widget=forms.HiddenInput)
    # What the buyer saw; a price that has changed since is shown, never charged.
    expected_total = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    # The cart this page showed; another tab may have changed it since, at the very same total.
    expected_cart = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.STRIPE_PUBLISHABLE_KEY:
            self.fields["payment_method"] = _card_field()

    def fingerprint(self) -> str:
        """What the idempotency key was first used for."""
        asked = {name: str(value) for name, value in self.cleaned_data.items() if name != "key"}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
