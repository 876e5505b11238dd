"""The second factor: kept encrypted, each code used once, and not optional for staff."""

import base64
import hashlib
from typing import Any, Final

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base import forms as allauth_forms
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.cache import cache

FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)  # recovery codes stand in for one of these
# A code is good for its own half minute, and one before and after it.
CODE_LIVES: Final = 30 * (2 * settings.MFA_TOTP_TOLERANCE + 1)


def has_second_factor(user: Any) -> bool:
    return Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).exists()


def must_set_one_up(user: Any) -> bool:
    """Whether this person may use nothing before they have a second factor."""
    return settings.STAFF_NEED_SECOND_FACTOR and user.is_staff and not has_second_factor(user)


class MFAAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return _keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _keys().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Staff keep one."""
        if not (settings.STAFF_NEED_SECOND_FACTOR and authenticator.user.is_staff):
            return True
        others = Authenticator.objects.filter(user=authenticator.user, type__in=FACTORS).exclude(pk=authenticator.pk)
        return bool(others.exists())


class _OnceOnly:
    """A code that was seen in use opens nothing a second time, in whichever process it is tried."""

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        # As allauth reads it, who remembers for half a minute only: "123 456" and "123-456" are one code.
        used = f"totp:{self.user.pk}:{normalize_user_code(code)}"  # type: ignore[attr-defined]
        of_the_app = self.authenticator.type == Authenticator.Type.TOTP  # type: ignore[attr-defined]
        if of_the_app and not cache.add(used, 1, timeout=CODE_LIVES):
            raise MFAAdapter().validation_error("incorrect_code")
        return code


class AuthenticateForm(_OnceOnly, allauth_forms.AuthenticateForm):
    pass


class ReauthenticateForm(_OnceOnly, allauth_forms.ReauthenticateForm):
    pass


def _keys() -> MultiFernet:
    """Of the secret key, and of those it replaces."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = (hashlib.sha256(b"second factor" + secret.encode()).digest() for secret in secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
