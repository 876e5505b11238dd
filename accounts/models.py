"""People: who they are, where they live, and the keys of their programs."""

import hashlib
import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from django.apps import apps
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A person who logs in with `email`. Raises ValueError when it is empty."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user: User = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Whoever may do this has the machine, and says whose address it is: no code is sent there."""
        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        user.vouch_for_address()
        return user

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """In small letters: no mail service has two people who differ in capitals only."""
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.alias(small=Lower("email")).get(small=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField("e-mail address", max_length=254, unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.email

    def vouch_for_address(self) -> None:
        """The address counts as verified, by somebody who knows it to be theirs."""
        verified = {"verified": True, "primary": True}
        apps.get_model("account", "EmailAddress").objects.update_or_create(
            user=self, email=self.email.lower(), defaults=verified
        )


class Profile(models.Model):
    """What a person tells us about themselves; made after registration."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")
    display_name = models.CharField(max_length=120, blank=True)
    locale = models.CharField(max_length=10, blank=True, help_text="Empty: what the browser asks for.")
    time_zone = models.CharField(max_length=60, blank=True, help_text="Empty: UTC, as for everybody.")
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.display_name or str(self.user)


class Address(models.Model):
    """Where somebody has parcels sent."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="addresses")
    name = models.CharField(max_length=100)
    line1 = models.CharField(max_length=100)
    line2 = models.CharField(max_length=100, blank=True)
    postal_code = models.CharField(max_length=20)
    city = models.CharField(max_length=100)
    country = models.CharField(max_length=2)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=models.Q(is_default=True), name="address_one_default")
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.line1}, {self.city}"


class ResetRequest(models.Model):
    """Somebody asked for a new password for this address, whether or not anybody has it. Gone when answered."""

    email = models.EmailField(max_length=254)
    asked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"for {self.email}"


class CodeRequest(models.Model):
    """A code is to go to this address; without a user nothing is sent. Gone when answered."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="codes")
    email = models.EmailField(max_length=254)
    code = models.CharField(max_length=20)
    asked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"for {self.email}"


class CacheEntry(models.Model):
    """The table of Django's database cache, in which tries are counted (config/settings.py)."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.cache_key


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self, now: datetime) -> Self:
        """Neither revoked nor past their time, and of somebody who may log in."""
        lasting = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
        return self.filter(lasting, revoked_at=None, user__is_active=True)


class ApiKey(models.Model):
    """A program's key. Only its SHA-256 is kept: 256 random bits need no slow hash."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, help_text="The key's beginning, to know it by.")
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, help_text="To the minute.")
    expires_at = models.DateTimeField(null=True)
    replaced_at = models.DateTimeField(null=True, help_text="When another took its place; it may go on for a while.")
    revoked_at = models.DateTimeField(null=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                name="key_replaced_has_an_end",
                condition=models.Q(replaced_at=None) | models.Q(expires_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def digest_of(plain: str) -> str:
        return hashlib.sha256(plain.encode()).hexdigest()
