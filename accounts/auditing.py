"""What people do with their accounts, and staff with other people's, written down as it happens.

Heard as signals, of Django and of allauth: whichever page, command or library does it, the audit log knows. Logging in
changes no row of ours that it could be part of; everything else is written in the transaction of its change.
"""

from typing import Any, Final

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth import signals as auth
from django.contrib.auth.models import Group
from django.db.models.functions import Lower
from django.db.models.signals import m2m_changed, post_save, pre_save
from django.dispatch import receiver

from accounts.models import ApiKey, User
from notifications.audit import log as audit

RIGHTS: Final = ("is_active", "is_staff", "is_superuser")
# What allauth tells of, and how the log calls it. Who it is about is the user of the signal.
TOLD: Final = (
    (account.password_set, "password.set"),
    (account.password_changed, "password.changed"),
    (account.password_reset, "password.reset"),
    (account.email_changed, "email.changed"),
    (mfa.authenticator_added, "second_factor.added"),
    (mfa.authenticator_removed, "second_factor.removed"),
    (mfa.authenticator_reset, "second_factor.reset"),
    (mfa.authentication_failed, "second_factor.refused"),
)


def listen() -> None:
    for signal, action in TOLD:
        signal.connect(_telling(action), weak=False, dispatch_uid=action)


def _telling(action: str) -> Any:
    def tell(user: User, **facts: Any) -> None:
        factor = facts.get("authenticator")
        audit.record(action, about=user, after={"type": str(factor.type)} if factor else None)

    return tell


# -- in and out -------------------------------------------------------------------------------


@receiver(auth.user_logged_in)
def note_login(user: User, **_: Any) -> None:
    audit.record("login", about=user, actor=f"user:{user.pk}")


@receiver(auth.user_logged_out)
def note_logout(user: User | None, **_: Any) -> None:
    if user is not None:
        audit.record("logout", about=user, actor=f"user:{user.pk}")


@receiver(auth.user_login_failed)
def note_failed_login(credentials: dict[str, Any], **_: Any) -> None:
    """About whom, where the address is known here. What was typed is kept nowhere: it may be a password."""
    typed = str(credentials.get("username") or credentials.get("email") or "")[:254]
    found = User.objects.alias(small=Lower("email")).filter(small=typed.lower()).first()
    audit.record("login.failed", about=found or "")


# -- rights -----------------------------------------------------------------------------------


@receiver(pre_save, sender=User)
def remember_rights(instance: User, update_fields: Any, **_: Any) -> None:
    asks = instance.pk is not None and (update_fields is None or {*RIGHTS, "password"} & set(update_fields))
    before = User.objects.filter(pk=instance.pk).values(*RIGHTS, "password").first() if asks else None
    instance._before = before  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def note_rights(instance: User, created: bool, update_fields: Any, **_: Any) -> None:
    kept = getattr(instance, "_before", None)
    if created:
        kept = {"is_active": True, "is_staff": False, "is_superuser": False, "password": instance.password}
    if kept is None:
        return
    before, after = audit.changes(
        {name: kept[name] for name in RIGHTS}, {name: getattr(instance, name) for name in RIGHTS}
    )
    if after:
        audit.record("rights.changed", about=instance, before=before, after=after)
    # Of a person's own change allauth tells, and a login may write the same password in another hash.
    if update_fields is None and kept["password"] != instance.password:
        audit.record("password.written", about=instance)


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
@receiver(m2m_changed, sender=Group.permissions.through)
def note_grants(sender: Any, instance: Any, action: str, pk_set: set[int] | None, **_: Any) -> None:
    """Groups of a person, and permissions of a person or a group."""
    if action not in ("post_add", "post_remove", "post_clear") or pk_set == set():
        return
    done = {"post_add": "given", "post_remove": "taken", "post_clear": "all_taken"}[action]
    what = sender._meta.model_name.rpartition("_")[2]
    audit.record(f"rights.{done}", about=instance, after={what: sorted(pk_set or ())})


@receiver(post_save, sender=ApiKey)
def note_key(instance: ApiKey, created: bool, **_: Any) -> None:
    if created:
        audit.record("key.made", about=f"key:{instance.pk}", after={"of": instance.user_id, "scopes": instance.scopes})
