"""Who logged in, who may do what since when, and who looked at whom."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from django.contrib.auth.models import Group, Permission
from django.core.cache import cache
from django.test import Client

from accounts import keys
from accounts.models import User
from notifications.models import AuditEntry, Letter
from tests.accounts.people import PASSWORD, person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nobody_has_tried():
    cache.clear()


@pytest.fixture
def ada():
    return person("ada@example.org")


@pytest.fixture
def boss():
    return User.objects.create_superuser("boss@example.org", PASSWORD)


@pytest.fixture
def office(boss):
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.force_login(boss)
    return client


def told(action):
    """(by, about, before, after) of the entries of this kind."""
    rows = AuditEntry.objects.filter(action=action).order_by("pk")
    return list(rows.values_list("actor", "about", "before", "after"))


def test_a_login_and_a_logout_are_written_down_with_the_address(ada):
    client = Client(REMOTE_ADDR="192.0.2.9")
    client.post("/accounts/login/", {"login": "ada@example.org", "password": PASSWORD})
    client.post("/accounts/logout/")

    me = f"user:{ada.pk}"
    assert (told("login"), told("logout")) == ([(me, me, None, None)], [(me, me, None, None)])
    assert AuditEntry.objects.get(action="login").origin.address == "192.0.2.9"


def test_a_failed_login_says_about_whom_and_keeps_nothing_that_was_typed(ada):
    for typed in ("ada@example.org", "my-password-by-mistake@example.org"):
        Client().post("/accounts/login/", {"login": typed, "password": "wrong"})

    assert told("login.failed") == [("visitor", f"user:{ada.pk}", None, None), ("visitor", "", None, None)]


def test_rights_that_are_given_are_written_down_before_and_after(ada):
    ada.is_staff = True
    ada.save()

    assert told("rights.changed") == [("system", f"user:{ada.pk}", {"is_staff": False}, {"is_staff": True})]


def test_staff_that_are_made_are_written_down(boss):
    after = {"is_staff": True, "is_superuser": True}
    assert told("rights.changed") == [
        ("system", f"user:{boss.pk}", {"is_staff": False, "is_superuser": False}, after),
    ]


def test_groups_and_permissions_are_written_down(ada):
    group, permission = Group.objects.create(name="packers"), Permission.objects.first()
    ada.groups.add(group)
    ada.user_permissions.add(permission)
    group.permissions.add(permission)
    ada.groups.remove(group)

    assert told("rights.given") == [
        ("system", f"user:{ada.pk}", None, {"groups": [group.pk]}),
        ("system", f"user:{ada.pk}", None, {"permissions": [permission.pk]}),
        ("system", f"group:{group.pk}", None, {"permissions": [permission.pk]}),
    ]
    assert told("rights.taken") == [("system", f"user:{ada.pk}", None, {"groups": [group.pk]})]


def test_a_password_that_staff_write_is_told_of_and_one_that_is_hashed_anew_is_not(ada):
    ada.set_password("another horse")
    ada.save(update_fields=["password"])
    assert told("password.written") == []

    ada.set_password("one more horse")
    ada.save()

    assert told("password.written") == [("system", f"user:{ada.pk}", None, None)]


def test_a_second_factor_is_written_down_by_its_kind(ada):
    factor = Authenticator.objects.create(user=ada, type=Authenticator.Type.TOTP, data={"secret": "x"})

    authenticator_added.send(sender=Authenticator, request=None, user=ada, authenticator=factor)

    assert told("second_factor.added") == [("system", f"user:{ada.pk}", None, {"type": "totp"})]


def test_a_changed_password_is_written_down(ada):
    client = Client()
    client.force_login(ada)
    client.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "another horse battery", "password2": "another horse battery"},
    )

    me = f"user:{ada.pk}"
    assert told("password.changed") == [(me, me, None, None)]


def test_a_key_that_is_made_and_revoked_is_written_down(ada):
    key, _ = keys.issue(user=ada, name="mine", scopes=["orders:read"])
    keys.revoke(user=ada, name="mine")

    about = f"key:{key.pk}"
    assert told("key.made") == [("system", about, None, {"of": ada.pk, "scopes": ["orders:read"]})]
    assert told("key.revoked") == [("system", about, None, {"of": ada.pk})]


def test_sessions_that_staff_end_are_written_down(office, boss, ada):
    client = Client()
    client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD})

    office.post("/admin/accounts/user/", {"action": "end_sessions", "_selected_action": [ada.pk]})

    assert told("sessions.ended") == [(f"user:{boss.pk}", f"user:{ada.pk}", None, {"sessions": 1})]
    assert client.get("/accounts/").status_code == 302


def test_staff_who_look_at_a_person_or_a_letter_are_written_down(office, boss, ada):
    letter = Letter.objects.create(
        once="x", template="accounts/welcome", to="a@example.org", subject="s", text="t", message_id="<x@y>"
    )
    office.get(f"/admin/accounts/user/{ada.pk}/change/")
    office.get(f"/admin/notifications/letter/{letter.pk}/change/")
    office.get(f"/admin/accounts/user/{ada.pk}999/change/")

    assert told("account.viewed") == [(f"user:{boss.pk}", f"user:{ada.pk}", None, None)]
    assert told("letter.viewed") == [(f"user:{boss.pk}", f"letter:{letter.pk}", None, None)]
    assert AuditEntry.objects.get(action="letter.viewed").origin.address == "192.0.2.7"


def test_who_may_not_look_is_not_said_to_have_looked(ada, boss):
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    client = Client()
    client.force_login(ada)

    assert client.get(f"/admin/accounts/user/{boss.pk}/change/").status_code == 403
    assert told("account.viewed") == []


# -- the page of the log ----------------------------------------------------------------------


def test_the_log_is_searched_by_address_and_reference(office, ada):
    ada.is_staff = True
    ada.save()

    def found(words):
        listed = office.get("/admin/notifications/auditentry/", {"q": words}).context["cl"].result_list
        return [(row.action, row.about) for row in listed]

    one = [("rights.changed", f"user:{ada.pk}")]
    assert [found(words) for words in ("ada@example.org", f"user:{ada.pk}", "user:999")] == [one, one, []]


def test_the_log_can_be_read_and_not_written(office, ada):
    ada.is_staff = True
    ada.save()
    entry = AuditEntry.objects.get(action="rights.changed", about=f"user:{ada.pk}")
    page = f"/admin/notifications/auditentry/{entry.pk}/"

    assert "is_staff" in office.get(f"{page}change/").content.decode()
    assert office.post(f"{page}delete/").status_code == 403
    assert office.get("/admin/notifications/auditentry/add/").status_code == 403


def test_staff_without_the_right_do_not_see_the_log(ada):
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    client = Client()
    client.force_login(ada)

    assert client.get("/admin/notifications/auditentry/").status_code == 403


def test_taking_the_log_along_is_written_down_too(office, boss):
    answer = office.get("/admin/notifications/auditentry/export/")
    lines = b"".join(answer.streaming_content).decode().splitlines()

    assert lines[0].removeprefix("\ufeff").startswith("id,at,action,actor")
    assert told("audit.exported")[0][0] == f"user:{boss.pk}"
