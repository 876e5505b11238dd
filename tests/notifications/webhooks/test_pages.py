"""/accounts/webhooks/, /api/v1/webhooks/ and the staff's page: who sees what, and what each button does."""

import re
import uuid

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from accounts import keys
from accounts.models import User
from notifications.models import Call, Delivery, Endpoint
from notifications.webhooks import endpoints

LIST = "/accounts/webhooks/"


def page_of(endpoint):
    return f"{LIST}{endpoint.uid}/"


@pytest.fixture
def program(client, staff):
    def ask(method, path, body=None, *, user=staff, scopes=("webhooks:write",)):
        _, plain = keys.issue(user=user, name="test", scopes=scopes)
        headers = {"Authorization": f"Bearer {plain}"}
        return getattr(client, method)(
            f"/api/v1/webhooks/{path}", body, content_type="application/json", headers=headers
        )

    return ask


def test_visitors_sign_in_first(client, db):
    assert client.get(LIST).headers["Location"] == f"/accounts/login/?next={LIST}"


def test_added_in_the_browser_its_secret_is_shown_once(client, staff):
    client.force_login(staff)

    answer = client.post(LIST, {"url": "https://example.com/hook", "events": ["order.placed", "order.shipped"]})

    made = Endpoint.objects.get()
    assert made.secret in answer.content.decode().replace("&#x27;", "'").replace("&#43;", "+")
    assert "no-store" in answer.headers["Cache-Control"]
    for page in (LIST, page_of(made)):
        assert made.secret not in client.get(page).content.decode()
    assert (made.owner, made.events) == (staff, ["order.placed", "order.shipped"])


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"url": "http://10.0.0.1/", "events": ["order.placed"]}, "This address leads to no public address."),
        ({"url": "https://example.com/"}, "This field is required."),
        ({"url": "https://example.com/", "events": ["user.registered"]}, "user.registered is not one of"),
        ({"url": f"https://example.com/{'a' * 500}", "events": ["order.placed"]}, "at most 500 characters"),
    ],
)
def test_bad_values_come_back_with_a_word_and_what_was_typed(client, customer, sent, says):
    client.force_login(customer)

    words = client.post(LIST, sent).content.decode()

    assert says in words
    assert sent["url"][:20] in words
    assert not Endpoint.objects.exists()


def test_a_customer_is_offered_events_of_orders_only(client, customer):
    client.force_login(customer)

    offered = set(re.findall(r'name="events" value="([^"]+)"', client.get(LIST).content.decode()))

    assert "order.placed" in offered
    assert {name.partition(".")[0] for name in offered} == {"order", "payment"}


@pytest.mark.parametrize("do", ["test", "rotate", "disable", "enable", "delete", "resend"])
def test_nobody_touches_anothers_endpoint(client, customer, endpoint, program, do):
    client.force_login(customer)
    before = Endpoint.objects.values().get()

    assert client.get(page_of(endpoint)).status_code == 404
    assert client.post(page_of(endpoint), {"url": "https://evil.example.com/"}).status_code == 404
    assert client.post(f"{page_of(endpoint)}press/", {"do": do}).status_code == 404
    for method, path in [
        ("get", ""),
        ("patch", ""),
        ("delete", ""),
        ("post", "secret/"),
        ("post", "test/"),
        ("get", "deliveries/"),
    ]:
        assert program(method, f"{endpoint.uid}/{path}", {}, user=customer).status_code == 404
    assert program("get", "", user=customer).json()["results"] == []
    assert Endpoint.objects.values().get() == before


def test_the_buttons(client, endpoint, staff, receiver, deliver_due):
    client.force_login(staff)

    def press(**asked):
        client.post(f"{page_of(endpoint)}press/", asked)
        endpoint.refresh_from_db()

    press(do="test")
    deliver_due()
    call = Call.objects.get()
    press(do="resend", call=call.uid)
    press(do="resend", call="nonsense")
    deliver_due()
    assert len(receiver.heard) == 2
    press(do="disable")
    assert endpoint.disabled_why == "Disabled by its owner."
    press(do="test")
    deliver_due()
    assert len(receiver.heard) == 2
    press(do="enable")
    assert endpoint.disabled_at is None
    old = endpoint.secret
    press(do="rotate")
    press(do="rotate")
    assert endpoint.old_secret == old != endpoint.secret
    client.post(f"{page_of(endpoint)}press/", {"do": "delete"})
    assert not Endpoint.objects.exists()


def test_what_came_back_is_for_staff_only(client, customer, receiver, private, deliver_due, program):
    receiver.answers = [(200, "the inside of a machine")]
    own = endpoints.open_endpoint(owner=customer, url=receiver.url, events=["order.placed"])
    endpoints.send_test(own)
    deliver_due()
    client.force_login(customer)

    def seen():
        in_api = program("get", f"{own.uid}/deliveries/", user=customer).json()["results"][0]["tries"][0]
        return in_api["answer"], "the inside of a machine" in client.get(page_of(own)).content.decode()

    assert seen() == ("", False)
    User.objects.filter(pk=customer.pk).update(is_staff=True)
    customer.refresh_from_db()
    assert seen() == ("the inside of a machine", True)


def test_the_life_of_an_endpoint_over_the_api(program, receiver, private, deliver_due):
    made = program("post", "", {"url": receiver.url, "events": ["order.shipped", "order.placed"]})
    said = made.json()
    assert (made.status_code, made.headers["Location"]) == (201, f"/api/v1/webhooks/{said['id']}/")
    assert said["secret"].startswith("whsec_")
    one = said["id"]
    again = program("get", f"{one}/").json()
    assert (again["events"], again["enabled"]) == (["order.placed", "order.shipped"], True)
    assert "secret" not in again

    assert program("post", f"{one}/test/").status_code == 202
    deliver_due()
    [call] = program("get", f"{one}/deliveries/").json()["results"]
    assert (call["state"], call["event"], call["tries"][0]["status"]) == ("delivered", "webhook.tested", 200)
    assert program("post", f"{one}/deliveries/{call['id']}/resend/").status_code == 202
    refused = program("post", f"{one}/deliveries/{call['id']}/resend/")
    assert (refused.status_code, refused.json()["code"]) == (409, "on_its_way")
    deliver_due()
    assert len({heard.headers["webhook-id"] for heard in receiver.heard}) == 1

    assert program("patch", f"{one}/", {"enabled": False}).json()["enabled"] is False
    assert program("post", f"{one}/test/").json()["code"] == "endpoint_disabled"
    assert program("patch", f"{one}/", {"enabled": True, "description": "Books"}).json()["description"] == "Books"
    rotated = program("post", f"{one}/secret/").json()
    assert rotated["secret"] != said["secret"]
    assert program("post", f"{one}/secret/").json()["code"] == "just_rotated"
    assert program("delete", f"{one}/").status_code == 204
    assert program("get", f"{one}/").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": 5, "events": ["order.placed"]}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data", "events": ["order.placed"]}, "url"),
        ({"url": "https://example.com/", "events": "order.placed"}, "events"),
        ({"url": "https://example.com/", "events": []}, "events"),
        ({"url": "https://example.com/", "events": [{}]}, "events[0]"),
        ({"url": "https://example.com/", "events": ["clock.minute"]}, "events"),
        ({"url": "https://example.com/", "events": ["order.placed"] * 51}, "events"),
        ({"url": "https://example.com/", "events": ["order.placed"], "description": "a\nb"}, "description"),
    ],
)
def test_bad_bodies_name_the_field(program, body, field):
    answer = program("post", "", body)

    assert answer.status_code == 400
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert not Endpoint.objects.exists()


def test_another_call_of_another_endpoint_is_not_sent_again(program, endpoint, staff, receiver, deliver_due):
    other = endpoints.open_endpoint(owner=staff, url=receiver.url, events=["order.placed"])
    call = endpoints.send_test(other)

    assert program("post", f"{endpoint.uid}/deliveries/{call.uid}/resend/").status_code == 404
    assert program("post", f"{endpoint.uid}/deliveries/{uuid.uuid4()}/resend/").status_code == 404


# -- the staff's page --------------------------------------------------------------------------


@pytest.fixture
def looking(client, transactional_db):
    """Staff who may see endpoints, and nothing more."""
    user = User.objects.create_user("eye@example.com", "a pass phrase", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_endpoint"))
    client.force_login(user)
    return user


def test_staff_see_every_endpoint_and_never_a_secret(client, looking, endpoint, deliver_due):
    endpoints.send_test(endpoint)
    deliver_due()
    where = reverse("admin:notifications_endpoint_change", args=[endpoint.pk])

    for page in (reverse("admin:notifications_endpoint_changelist"), where):
        words = client.get(page).content.decode()
        assert endpoint.url in words
        assert endpoint.secret not in words
    assert "/press/" not in client.get(where).content.decode()


def test_pressing_needs_a_right_of_its_own(client, looking, endpoint, deliver_due):
    press = reverse("admin:notifications_endpoint_press", args=[endpoint.pk])
    assert client.post(press, {"do": "disable"}).status_code == 403

    looking.user_permissions.add(Permission.objects.get(codename="disable_endpoint"))
    client.post(press, {"do": "disable"})

    endpoint.refresh_from_db()
    assert endpoint.disabled_why == "Disabled by the shop."
    client.post(press, {"do": "enable"})
    call = endpoints.send_test(endpoint)
    deliver_due()
    client.post(press, {"do": "resend", "call": call.pk})
    client.post(press, {"do": "resend", "call": "x"})
    assert Delivery.objects.filter(handler="notifications.call_webhook", state="ready").count() == 1


@pytest.mark.parametrize("show", ["all", "failing", "disabled"])
def test_the_tabs(client, looking, staff, endpoint, show):
    failing = endpoints.open_endpoint(owner=staff, url="https://failing.example.com/", events=["order.placed"])
    Endpoint.objects.filter(pk=failing.pk).update(failing_since="2026-01-01T00:00Z")
    off = endpoints.open_endpoint(owner=staff, url="https://off.example.com/", events=["order.placed"])
    endpoints.disable(off, why="Gone.")

    words = client.get(reverse("admin:notifications_endpoint_changelist"), {"show": show}).content.decode()

    shown = {one.url for one in (endpoint, failing, off) if one.url in words}
    assert (
        shown
        == {
            "all": {endpoint.url, failing.url, off.url},
            "failing": {failing.url},
            "disabled": {off.url},
        }[show]
    )
