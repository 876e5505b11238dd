"""A buyer asks to send things back, with pictures; staff see it and answer."""

import threading

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from accounts.models import User
from notifications.models import Event, Letter
from orders import fulfilment, links, returning
from orders.models import Order, ReturnRequest
from orders.refunds import BadUnits, Units
from orders.returning import AlreadyAnswered, AlreadyAsked
from tests.uploads.conftest import ada, begun, own_store, picture
from uploads.models import Upload

__all__ = ["ada", "begun", "own_store"]

pytestmark = pytest.mark.django_db(transaction=True)

MUG = Units(sku="MUG", quantity=1)


@pytest.fixture
def sent(buy, ada):
    """An order of Ada's, two mugs and a print, that has left us."""
    order = buy()
    Order.objects.filter(pk=order.pk).update(user=ada)
    fulfilment.ship(order=order)
    return Order.objects.get(pk=order.pk)


@pytest.fixture
def buyer(client, ada):
    client.force_login(ada)
    return client


@pytest.fixture
def staff(client):
    client.force_login(User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True))
    return client


def form(order, *, mugs=1, words="It leaks.", **more):
    line = order.lines.get(sku="MUG")
    return {f"units_{line.pk}": str(mugs), "words": words, **more}


def page_of(order):
    return f"/orders/{order.number}/return/"


def action(order, name):
    return f"/admin/orders/order/{order.pk}/{name}/"


# -- The verbs --------------------------------------------------------------------------------


def test_a_request_is_written_down_and_the_house_is_told(sent, deliver_due):
    asked = returning.ask(order=sent, lines=[MUG, MUG], words="They leak.")
    deliver_due()

    assert (asked.units, asked.words, asked.state) == ([["MUG", 2]], "They leak.", "open")
    letter = Letter.objects.get(template="orders/return_requested")
    assert "They leak." in letter.text


def test_more_than_was_shipped_cannot_be_sent_back(sent):
    with pytest.raises(BadUnits) as refusal:
        returning.ask(order=sent, lines=[Units(sku="MUG", quantity=3)], words="x")

    assert (refusal.value.left, ReturnRequest.objects.count()) == (2, 0)


def test_nothing_can_be_sent_back_that_has_not_left(buy):
    order = buy()
    with pytest.raises(BadUnits):
        returning.ask(order=order, lines=[MUG], words="x")


def test_who_asks_ten_times_at_once_has_asked_once(sent):
    start, said = threading.Barrier(10), []

    def ask():
        start.wait()
        try:
            returning.ask(order=sent, lines=[MUG], words="x")
            said.append("asked")
        except AlreadyAsked:
            said.append("before")
        finally:
            connection.close()

    people = [threading.Thread(target=ask) for _ in range(10)]
    for one in people:
        one.start()
    for one in people:
        one.join()

    assert sorted(said) == ["asked", *["before"] * 9]
    assert Event.objects.filter(name="return.requested").count() == 1


def test_goods_that_came_back_answer_the_request(sent):
    asked = returning.ask(order=sent, lines=[MUG], words="x")
    fulfilment.take_back(order=sent, lines=[MUG], restock=True, refund=True)
    asked.refresh_from_db()

    assert (asked.state, asked.finished_at is not None) == ("accepted", True)
    with pytest.raises(AlreadyAnswered):
        returning.decline(request=asked, answer="no")


def test_a_no_is_said_once_and_in_a_letter(sent, deliver_due):
    asked = returning.ask(order=sent, lines=[MUG], words="x")
    returning.decline(request=asked, answer="It was used.")
    deliver_due()
    with pytest.raises(AlreadyAnswered):
        returning.decline(request=asked, answer="again")

    letter = Letter.objects.get(template="orders/return_declined")
    assert (letter.to, "It was used." in letter.text) == (sent.email, True)


def test_after_a_no_the_buyer_may_ask_again(sent):
    returning.decline(request=returning.ask(order=sent, lines=[MUG], words="x"), answer="no")

    assert returning.ask(order=sent, lines=[MUG], words="y").state == "open"


# -- The buyer's page -------------------------------------------------------------------------


def test_a_buyer_asks_with_pictures_and_is_told_so(buyer, sent):
    pictures = [SimpleUploadedFile(f"{n}.png", picture("PNG", colour=(n, 0, 0))) for n in (1, 2)]
    answer = buyer.post(page_of(sent), form(sent, file=pictures), follow=True)

    asked = sent.return_requests.get()
    assert [one.upload.name for one in asked.pictures.order_by("pk")] == ["1.png", "2.png"]
    assert b"We have your request" in answer.content


def test_a_press_that_comes_twice_is_one_request(buyer, sent):
    answers = [buyer.post(page_of(sent), form(sent)) for _ in range(2)]

    assert [one.status_code for one in answers] == [303, 303]
    assert sent.return_requests.count() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mugs": 0}, "Say how many of which thing"),
        ({"mugs": 3}, "Ensure this value is less than or equal to 2"),
        ({"mugs": "one"}, "Enter a whole number"),
        ({"words": ""}, "This field is required"),
        ({"words": "x" * 1001}, "at most 1000 characters"),
    ],
)
def test_what_is_not_right_is_named_and_nothing_typed_is_lost(buyer, sent, changes, words):
    answer = buyer.post(page_of(sent), form(sent, **changes))

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not sent.return_requests.exists()


def test_a_picture_that_is_none_is_named_and_the_words_stay(buyer, sent):
    bad = SimpleUploadedFile("shot.png", b"nothing of the kind")
    answer = buyer.post(page_of(sent), form(sent, words="It leaks badly.", file=[bad]))

    assert answer.status_code == 422
    assert "shot.png" in answer.content.decode()
    assert "It leaks badly." in answer.content.decode()
    assert not sent.return_requests.exists()


def test_more_pictures_than_anybody_looks_at_are_refused(buyer, sent, monkeypatch):
    monkeypatch.setattr(returning, "MOST_PICTURES", 1)
    pictures = [SimpleUploadedFile(f"{n}.png", picture("PNG", colour=(n, 0, 0))) for n in (1, 2)]
    answer = buyer.post(page_of(sent), form(sent, file=pictures))

    assert (answer.status_code, Upload.objects.count()) == (422, 0)


def test_a_guest_asks_by_the_link_and_leaves_no_files(client, sent):
    key = links.guest_path(sent).partition("?")[2]
    shot = SimpleUploadedFile("1.png", picture("PNG"))
    answer = client.post(f"{page_of(sent)}?{key}", form(sent, file=[shot]))

    assert (answer.status_code, Upload.objects.count()) == (303, 0)
    assert sent.return_requests.get().pictures.count() == 0


@pytest.mark.parametrize("who", ["nobody", "another customer", "staff", "guest"])
def test_of_whom_no_picture_is_wanted_none_gets_onto_our_disk(client, sent, begun, who):
    if who in ("another customer", "staff"):
        rights = {"is_staff": who == "staff", "is_superuser": who == "staff"}
        client.force_login(User.objects.create(email="b@example.com", **rights))
    key = links.guest_path(sent).partition("?")[2] if who == "guest" else ""

    answer = client.post(f"{page_of(sent)}?{key}", form(sent, file=SimpleUploadedFile("a.png", picture("PNG"))))

    assert (answer.status_code, begun) == (303 if who == "guest" else 404, [])


def test_the_buyers_pictures_do(buyer, sent, begun):
    buyer.post(page_of(sent), form(sent, file=SimpleUploadedFile("a.png", picture("PNG"))))

    assert begun == ["a.png"]


def test_a_buyers_request_from_another_site_is_refused(sent, ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)

    assert client.post(page_of(sent), form(sent)).status_code == 403


def test_strangers_and_staff_do_not_ask_for_the_buyer(client, sent):
    assert client.get(page_of(sent)).status_code == 404
    client.force_login(User.objects.create(email="kim@example.com", is_staff=True, is_superuser=True))
    assert client.post(page_of(sent), form(sent)).status_code == 404


def test_the_orders_page_offers_it_while_it_is_possible(buyer, sent):
    before = buyer.get(f"/orders/{sent.number}/").content
    returning.ask(order=sent, lines=[MUG], words="x")

    assert b"Send something back" in before
    assert b"Send something back" not in buyer.get(f"/orders/{sent.number}/").content


# -- Staff ------------------------------------------------------------------------------------


def test_staff_see_the_request_where_orders_need_attention(staff, sent):
    returning.ask(order=sent, lines=[MUG], words="The handle came off.")
    page = staff.get(f"/admin/orders/order/{sent.pk}/change/").content.decode()
    listed = staff.get("/admin/orders/order/?show=attention").content.decode()

    assert "The handle came off." in page
    assert "waits for an answer" in page
    assert sent.number in listed


def test_staff_are_offered_what_the_buyer_wants_to_send(staff, sent):
    returning.ask(order=sent, lines=[MUG], words="x")
    page = staff.get(action(sent, "return")).content.decode()
    line = sent.lines.get(sku="MUG")

    assert f'name="units_{line.pk}" value="1"' in page


def test_staff_say_no_on_a_page_that_tells_what_follows(staff, sent):
    asked = returning.ask(order=sent, lines=[MUG], words="x")
    page = staff.get(action(sent, "decline-return")).content.decode()
    answer = staff.post(
        action(sent, "decline-return"), {"key": "11111111-1111-1111-1111-111111111111", "reason": "It was used."}
    )
    asked.refresh_from_db()

    assert "They can ask again" in page
    assert answer.status_code == 302
    assert (asked.state, asked.answer) == ("declined", "It was used.")
