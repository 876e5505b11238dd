"""Pictures of products: chosen by staff, in their order, each with words; many at once, matched by SKU."""

import threading

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection

from accounts.models import User
from orders import gallery
from orders.gallery import Arranged, NoSuchProduct, NotUsable, NoWords
from orders.inventory import set_on_hand
from orders.models import Product, ProductPicture
from tests.uploads.conftest import accept, ada, begun, own_store, picture
from uploads import intake, processing
from uploads.models import Upload

__all__ = ["accept", "ada", "begun", "own_store"]

pytestmark = pytest.mark.django_db(transaction=True)

MANY = "/admin/orders/product/pictures/"


@pytest.fixture
def sam(transactional_db):
    return User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(client, sam):
    client.force_login(sam)
    return client


@pytest.fixture
def mug(transactional_db):
    made = Product.objects.create(sku="MUG-RED", slug="mug-red", name="A red mug", price=1290, art="mug-red")
    set_on_hand(product=made, on_hand=10, note="test")
    return made


@pytest.fixture
def shot(accept, sam):
    """`shot(1)` is an upload of staff; `ready=True` with all its sizes."""

    def taken(n, *, ready=False, owner=sam):
        made = accept(picture("PNG", (600, 400), colour=(n, 0, 0)), f"{n}.png", owner=owner)
        if ready:
            processing.make_renditions(upload_id=made.pk)
            made.refresh_from_db()
        return made

    return taken


def seen(product):
    return list(product.pictures.order_by("place", "pk").values_list("upload__name", "alt", "place"))


def page_of(product):
    return f"/admin/orders/product/{product.pk}/pictures/"


# -- The verbs --------------------------------------------------------------------------------


def test_pictures_stand_in_the_order_in_which_they_came_with_the_products_name_as_their_words(mug, shot):
    for n in (1, 2):
        gallery.attach(product=mug, upload=shot(n), alt="")

    assert seen(mug) == [("1.png", "A red mug", 1), ("2.png", "A red mug", 2)]


def test_the_same_picture_is_shown_once(mug, shot):
    upload = shot(1)
    first = gallery.attach(product=mug, upload=upload, alt="red")

    assert gallery.attach(product=mug, upload=upload, alt="redder") == first
    assert seen(mug) == [("1.png", "red", 1)]


def test_a_picture_that_two_people_choose_at_once_is_shown_once(mug, shot):
    upload, start = shot(1), threading.Barrier(4)

    def choose():
        start.wait()
        try:
            gallery.attach(product=mug, upload=upload, alt="red")
        finally:
            connection.close()

    people = [threading.Thread(target=choose) for _ in range(4)]
    for one in people:
        one.start()
    for one in people:
        one.join()

    assert seen(mug) == [("1.png", "red", 1)]


def test_what_a_customer_uploaded_cannot_be_shown(mug, shot, ada):
    with pytest.raises(NotUsable, match="Only what staff have uploaded"):
        gallery.attach(product=mug, upload=shot(1, owner=ada), alt="")


def test_a_product_has_no_more_pictures_than_anybody_looks_at(mug, shot, monkeypatch):
    monkeypatch.setattr(gallery, "MOST", 1)
    gallery.attach(product=mug, upload=shot(1), alt="")

    with pytest.raises(NotUsable, match="that is the limit"):
        gallery.attach(product=mug, upload=shot(2), alt="")


def test_words_places_and_what_is_taken_out_are_changed_together(mug, shot):
    first, second, third = (gallery.attach(product=mug, upload=shot(n), alt=str(n)) for n in (1, 2, 3))
    gallery.arrange(
        product=mug,
        pictures=[
            Arranged(picture_id=first.pk, alt=" the handle ", place=2),
            Arranged(picture_id=second.pk, alt="", place=2, removed=True),
            Arranged(picture_id=third.pk, alt="from above", place=1),
        ],
    )

    assert seen(mug) == [("3.png", "from above", 1), ("1.png", "the handle", 2)]
    assert Upload.objects.count() == 3


def test_a_picture_without_words_changes_nothing(mug, shot):
    first, second = (gallery.attach(product=mug, upload=shot(n), alt=str(n)) for n in (1, 2))
    changes = [
        Arranged(picture_id=first.pk, alt="new", place=9),
        Arranged(picture_id=second.pk, alt="  ", place=1),
    ]

    with pytest.raises(NoWords) as refusal:
        gallery.arrange(product=mug, pictures=changes)

    assert refusal.value.picture_id == second.pk
    assert seen(mug) == [("1.png", "1", 1), ("2.png", "2", 2)]


def test_the_database_keeps_no_picture_without_words(mug, shot):
    with pytest.raises(IntegrityError):
        ProductPicture.objects.create(product=mug, upload=shot(1), alt="")


def test_a_picture_of_another_product_is_not_touched(mug, shot):
    other = Product.objects.create(sku="CAP", slug="cap", name="A cap", price=900)
    theirs = gallery.attach(product=other, upload=shot(1), alt="cap")
    gallery.arrange(product=mug, pictures=[Arranged(picture_id=theirs.pk, alt="mine now", place=1, removed=True)])

    assert seen(other) == [("1.png", "cap", 1)]


@pytest.mark.parametrize(
    ("name", "place"), [("MUG-RED.png", 1), ("mug-red.PNG", 1), ("MUG-RED-2.png", 2), ("MUG-RED_10.png", 10)]
)
def test_a_files_name_says_of_which_product_it_is(mug, shot, name, place):
    made = gallery.attach_by_name(name=name, upload=shot(1))

    assert (made.product, made.place) == (mug, place)
    assert made.alt == ("A red mug" if place == 1 else f"A red mug, picture {place}")


def test_a_sku_that_ends_in_a_number_is_not_mistaken_for_another_products_second_picture(mug, shot):
    second = Product.objects.create(sku="MUG-RED-2", slug="mug-red-2", name="A larger red mug", price=1990)

    assert gallery.attach_by_name(name="MUG-RED-2.png", upload=shot(1)).product == second


def test_a_file_of_no_product_is_named(mug, shot):
    with pytest.raises(NoSuchProduct, match="No product has the SKU TEAPOT"):
        gallery.attach_by_name(name="TEAPOT.png", upload=shot(1))


def test_what_the_shop_shows_cannot_be_deleted_by_its_owner(mug, shot):
    upload = shot(1)
    shown = gallery.attach(product=mug, upload=upload, alt="")
    with pytest.raises(intake.InUse, match="take it out there first"):
        intake.delete(upload=upload)
    shown.delete()
    intake.delete(upload=upload)

    assert not Upload.objects.exists()


# -- The shop ---------------------------------------------------------------------------------


def test_the_shop_shows_pictures_that_are_ready_in_place_of_the_drawing(client, mug, shot):
    gallery.attach(product=mug, upload=shot(1, ready=True), alt="The mug from above")
    gallery.attach(product=mug, upload=shot(2), alt="Not ready")
    page, card = client.get(mug.get_absolute_url()).content.decode(), client.get("/").content.decode()

    assert page.count('alt="The mug from above"') == 1
    assert 'type="image/avif"' in page
    assert "Not ready" not in page
    assert "mug-red.svg" not in page + card
    assert "/media/" in card


def test_a_shelf_of_many_pictures_costs_no_more_queries_than_one(client, mug, shot, django_assert_max_num_queries):
    upload = shot(1, ready=True)
    for n in range(8):
        one = Product.objects.create(sku=f"S{n}", slug=f"s{n}", name=f"Thing {n}", price=100)
        set_on_hand(product=one, on_hand=1, note="test")
        gallery.attach(product=one, upload=upload, alt="")
    client.get("/")

    with django_assert_max_num_queries(5):
        client.get("/")


# -- Staff's pages ----------------------------------------------------------------------------


def test_staff_add_a_file_choose_an_upload_and_put_them_in_order_without_scripts(staff, mug, shot):
    chosen = shot(1, ready=True)
    file = SimpleUploadedFile("new.png", picture("PNG", colour=(9, 9, 9)))
    answer = staff.post(page_of(mug), {"upload": [str(chosen.uid)], "file": [file]})
    first, second = mug.pictures.order_by("place")
    words = {f"alt_{first.pk}": "Side", f"place_{first.pk}": "2", f"alt_{second.pk}": "Top", f"place_{second.pk}": "1"}
    staff.post(page_of(mug), words)

    assert answer.status_code == 302
    assert seen(mug) == [("new.png", "Top", 1), ("1.png", "Side", 2)]


def test_a_picture_without_words_is_refused_in_words(staff, mug, shot):
    shown = gallery.attach(product=mug, upload=shot(1), alt="red")
    answer = staff.post(page_of(mug), {f"alt_{shown.pk}": " ", f"place_{shown.pk}": "1"})

    assert answer.status_code == 422
    assert b"Say what is to be seen" in answer.content
    assert seen(mug) == [("1.png", "red", 1)]


@pytest.mark.parametrize("place", ["", "-1", "1e3", "٣", "9" * 400])
def test_a_place_that_is_no_number_breaks_nothing(staff, mug, shot, place):
    shown = gallery.attach(product=mug, upload=shot(1), alt="red")
    answer = staff.post(page_of(mug), {f"alt_{shown.pk}": "red", f"place_{shown.pk}": place})

    assert answer.status_code == 302
    assert mug.pictures.get().place in (1, 999)


def test_many_files_find_their_products_and_a_bad_one_stops_none(staff, mug, shot):
    files = {
        "MUG-RED.png": picture("PNG", colour=(1, 1, 1)),
        "TEAPOT.png": picture("PNG", colour=(2, 2, 2)),
        "MUG-RED-2.png": b"nothing of the kind",
        "MUG-RED-3.png": picture("PNG", colour=(3, 3, 3)),
    }
    answer = staff.post(MANY, {"file": [SimpleUploadedFile(name, content) for name, content in files.items()]})
    words = answer.content.decode()

    assert [(name, place) for name, _, place in seen(mug)] == [("MUG-RED.png", 1), ("MUG-RED-3.png", 3)]
    assert "No product has the SKU TEAPOT" in words
    assert "This is not a picture or video we can take." in words
    assert "2 of 4 taken" in words


def test_the_same_files_again_change_nothing(staff, mug):
    for _ in range(2):
        file = SimpleUploadedFile("MUG-RED.png", picture("PNG"))
        answer = staff.post(MANY, {"file": [file]}, headers={"X-Requested-With": "XMLHttpRequest"})

    assert b"A red mug" in answer.content
    assert (mug.pictures.count(), Upload.objects.count()) == (1, 1)


@pytest.mark.parametrize("page", ["many", "one"])
@pytest.mark.parametrize("may_look", [False, True])
def test_who_may_only_look_at_products_cannot_change_their_pictures(client, mug, page, begun, may_look):
    kim = User.objects.create(email="kim@example.com", is_staff=True)
    kim.user_permissions.set(Permission.objects.filter(codename="view_product") if may_look else [])
    client.force_login(kim)
    file = SimpleUploadedFile("MUG-RED.png", picture("PNG"))
    answer = client.post(MANY if page == "many" else page_of(mug), {"file": [file]})

    assert (answer.status_code, begun) == (403, [])
    assert not Upload.objects.exists()
