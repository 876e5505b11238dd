"""An account from sign-up to its last page: without barriers, without scripts, and with a passkey."""

import time

import pytest
from allauth.mfa.totp.internal import auth as totp

from tests.browser.faults import faults

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"
ADDRESS = {"name": "Ada Lovelace", "line1": "Kade 1", "postal_code": "1621 AA", "city": "Hoorn"}
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def press(page, words):
    page.click(f"main button:has-text('{words}')")


def sign_up(page, shop, email):
    """Yields the pages on the way."""
    page.goto("/accounts/signup/")
    page.fill("[name=email]", email)
    page.fill("[name=password1]", PASSWORD)
    press(page, "Make my account")
    page.wait_for_url("**/confirm-email/")
    page.fill("[name=code]", "WRONG")
    press(page, "Confirm")
    page.wait_for_selector("text=2 tries left")
    yield "code, wrong"
    page.fill("[name=code]", shop.code_for(email))
    press(page, "Confirm")
    page.wait_for_url(lambda url: "confirm-email" not in url)


def set_up_app(page):
    page.goto("/accounts/2fa/totp/activate/")
    yield "is it you"
    page.fill("[name=password]", PASSWORD)
    press(page, "Confirm")
    page.wait_for_selector(".qr")
    yield "an app, set up"
    secret = page.inner_text(".secret").replace("\n", "").strip()
    page.fill("[name=code]", totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30)))
    press(page, "Turn it on")
    page.wait_for_url("**/recovery-codes/")
    yield "recovery codes"


def walk(page, shop, email):
    """Every page of an account, by its name, in the states a person meets."""
    yield from sign_up(page, shop, email)
    for path in ("", "profile/", "newsletter/", "sessions/", "orders/", "email/", "password/change/", "2fa/"):
        page.goto(f"/accounts/{path}")
        yield path or "account"
    page.goto("/accounts/addresses/")
    for name, words in ADDRESS.items():
        page.fill(f"main [name={name}]", words)
    page.select_option("[name=country]", "NL")
    press(page, "Keep it")
    page.wait_for_selector("main address")
    yield "addresses, one"
    page.click("main a:has-text('Change')")
    yield "an address"
    yield from set_up_app(page)
    for path in ("2fa/", "2fa/recovery-codes/generate/", "2fa/totp/deactivate/", "2fa/passkeys/", "2fa/passkeys/add/"):
        page.goto(f"/accounts/{path}")
        yield f"{path}, with an app"
    page.goto("/accounts/api-keys/")
    press(page, "Make it")
    page.wait_for_selector("[role=alert]")
    yield "keys, refused"
    page.fill("[name=name]", "Till")
    page.check("[value='orders:read']")
    press(page, "Make it")
    page.wait_for_selector("text=Keep this key now")
    yield "a key, shown"
    page.click("text=I have kept it")
    yield "keys, one"
    page.goto("/accounts/logout/")
    press(page, "Sign out")
    page.goto("/accounts/login/")
    page.fill("[name=login]", email)
    page.fill("[name=password]", PASSWORD)
    press(page, "Sign in")
    page.wait_for_url("**/2fa/authenticate/")
    yield "second factor"


def test_no_page_of_an_account_shuts_anybody_out(visit, shop):
    page = visit(bypass_csp=True, reduced_motion="reduce")

    assert [fault for name in walk(page, shop, "axe@example.com") for fault in faults(page, name)] == []


def test_an_account_needs_no_scripts(visit, shop):
    page = visit(java_script_enabled=False)

    seen = list(walk(page, shop, "noscript@example.com"))

    assert (seen[0], seen[-1]) == ("code, wrong", "second factor")


def test_a_passkey_made_under_our_policy_signs_in_without_a_password(visit, shop):
    host = shop.url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name, not to a number
    page = visit(base_url=host)
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    list(sign_up(page, shop, "passkey@example.com"))
    page.goto("/accounts/2fa/passkeys/add/")
    page.fill("[name=password]", PASSWORD)
    press(page, "Confirm")
    page.check("[name=passwordless]")
    press(page, "Add it")
    page.wait_for_url("**/recovery-codes/")
    page.goto("/accounts/logout/")
    press(page, "Sign out")

    page.goto("/accounts/login/")
    press(page, "Sign in with a passkey")
    page.wait_for_selector("text=Welcome back")

    page.goto("/accounts/")
    assert "passkey@example.com" in page.inner_text("main")
