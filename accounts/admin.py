"""People: who they are, and what staff may do."""

from contextlib import suppress
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import sessions
from accounts.models import ApiKey, User
from notifications.admin.audit import Watched

# Addresses belong to a person's own pages. Second factors, and the keys of sessions, are nobody else's business.
for other in (Group, EmailAddress, Authenticator, UserSession):
    with suppress(NotRegistered):
        admin.site.unregister(other)

RIGHTS = ("is_staff", "is_superuser", "groups")


class ApiKeyInline(TabularInline):
    model = ApiKey
    fields = readonly_fields = ("name", "prefix", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(Watched, DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Only superusers give rights, and only they may change those who have some."""

    look = "account.viewed"
    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ("email", "name", "is_staff", "is_active", "date_joined")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email", "name")
    ordering = ("-date_joined",)
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Rights", {"fields": ("is_active", *RIGHTS)}),
        ("Dates", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)
    filter_horizontal = ()
    readonly_fields = ("date_joined", "last_login")
    inlines = (ApiKeyInline,)

    actions = ("end_sessions",)

    @admin.action(description="End all their sessions", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = sum(sessions.end_all(user=user) for user in queryset if self.has_change_permission(request, user))
        self.message_user(request, f"{ended} sessions ended.")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data and not obj.is_active:
            sessions.shut_out(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, *(() if request.user.is_superuser else RIGHTS))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        has_rights = obj is not None and (obj.is_staff or obj.is_superuser)
        if has_rights and not request.user.is_superuser and obj != request.user:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # orders belong to people; take `is_active` away instead


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    filter_horizontal = ()  # the two-column picker is wider than the page
