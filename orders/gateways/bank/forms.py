"""Form-encoded requests, with Stripe's brackets: `metadata[reference]=…`, `created[gte]=…`."""

import re
from typing import Final
from urllib.parse import parse_qsl

from orders.gateways.bank.answers import Refusal, missing_parameter

Form = dict[str, str]

MAX_FIELDS: Final = 200
MAX_AMOUNT: Final = 99_999_999


def parsed(text: str) -> Form:
    """The fields by their full names; the last of two equal names wins. Raises Refusal when there are too many."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Refusal(400, "Too many parameters.", code="parameters_invalid") from None


def bracketed(form: Form, name: str) -> Form:
    """What stands in brackets behind `name`, by what is in the brackets."""
    opening = f"{name}["
    return {
        field[len(opening) : -1]: value
        for field, value in form.items()
        if field.startswith(opening) and field.endswith("]")
    }


def listed(form: Form, name: str) -> bool:
    """Whether a list of this name was given, empty or not."""
    return any(field == name or field.startswith(f"{name}[") for field in form)


def amount(form: Form) -> int | None:
    """The amount in minor units, None when not given. Raises Refusal unless 1 to 99,999,999."""
    if "amount" not in form:
        return None
    value = whole(form["amount"], param="amount")
    if value <= 0:
        raise Refusal(
            400, "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if value > MAX_AMOUNT:
        raise Refusal(400, f"Amount must be no more than {MAX_AMOUNT:,}.", code="amount_too_large", param="amount")
    return value


def currency(form: Form) -> str:
    """The currency in lower case. Raises Refusal unless it is three letters."""
    if "currency" not in form:
        raise missing_parameter("currency")
    value = form["currency"]
    if not re.fullmatch("[A-Za-z]{3}", value):
        raise Refusal(400, f"Invalid currency: {value[:20]}.", code="parameter_invalid", param="currency")
    return value.lower()


def whole(text: str, *, param: str) -> int:
    """The integer a field says. Raises Refusal for anything else, and for digits beyond reason."""
    if not re.fullmatch("-?[0-9]{1,15}", text):
        raise Refusal(400, f"Invalid integer: {text[:40]}", code="parameter_invalid_integer", param=param)
    return int(text)
