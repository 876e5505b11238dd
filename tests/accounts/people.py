"""A person with an account, as the tests of the pages see them."""

import re
import time

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.test import Client

from accounts.models import User
from accounts.second_factor import MFAAdapter
from notifications.models import Letter

PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def person(email="ada@example.org", **fields):
    """Somebody whose address is verified."""
    user = User.objects.create_user(email, PASSWORD, **fields)
    user.vouch_for_address()
    return user


def with_app(user):
    """Somebody who is asked for the codes of an app."""
    return Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data={"secret": MFAAdapter().encrypt(SECRET)}
    )


def code_of_app(secret=SECRET, *, steps_ago=0):
    counter = int(time.time()) // 30 - steps_ago
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def without_tokens(page):
    """What a page says, to compare it with another."""
    return re.sub(r'csrfmiddlewaretoken" value="[^"]+"', "", page.content.decode())


def sign_in(client=None, email="ada@example.org", password=PASSWORD, **more):
    client = client or Client()
    return client, client.post("/accounts/login/", {"login": email, "password": password, **more})


def signed_in(user):
    """A browser in which this person has just given their password."""
    client, answer = sign_in(email=user.email)
    assert answer.status_code == 302, answer.content
    return client


def sure(client):
    """The same browser, after the password was asked for once more."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def is_in(client):
    return client.get("/accounts/").status_code == 200


def letters(template, to=None):
    found = Letter.objects.filter(template=template).order_by("pk")
    return list(found if to is None else found.filter(to=to))


def code_in(letter):
    return re.search(r"^([0-9A-Z-]{6,12})$", letter.text, re.MULTILINE)[1]
