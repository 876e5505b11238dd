"""The picture that stands for a person."""

import pytest
from django.test import Client

from tests.uploads.conftest import BOTH_STORES, picture
from uploads import avatars, intake, processing
from uploads.models import Avatar

pytestmark = BOTH_STORES


@pytest.fixture
def ready(accept):
    def made(n, **more):
        upload = accept(picture("PNG", (300, 200), colour=(n, 0, 0)), f"{n}.png", **more)
        processing.make_renditions(upload_id=upload.pk)
        upload.refresh_from_db()
        return upload

    return made


def test_the_picture_chosen_last_stands_for_a_person(ada, ready):
    for n in (1, 2):
        avatars.choose(upload=ready(n))

    assert Avatar.objects.get().upload.name == "2.png"


def test_a_picture_that_is_not_ready_stands_for_nobody(accept):
    with pytest.raises(avatars.NoPicture, match="that is ready"):
        avatars.choose(upload=accept(picture("PNG"), "a.png"))


def test_a_deleted_picture_stands_for_nobody_any_more(ready):
    upload = ready(1)
    avatars.choose(upload=upload)
    intake.delete(upload=upload)

    assert not Avatar.objects.exists()


def test_a_person_presses_the_button_and_takes_it_back(ada, ready):
    upload, visitor = ready(1), Client()
    visitor.force_login(ada)
    chosen = visitor.post(f"/uploads/{upload.uid}/press/", {"do": "avatar"}, follow=True).content
    again = visitor.post(f"/uploads/{upload.uid}/press/", {"do": "no-avatar"}, follow=True).content

    assert b"No longer my picture" in chosen
    assert b"Use as my picture" in again
    assert not Avatar.objects.exists()


def test_nobody_takes_another_persons_picture(ready, django_user_model):
    upload, stranger = ready(1), Client()
    stranger.force_login(django_user_model.objects.create(email="eve@example.org"))

    assert stranger.post(f"/uploads/{upload.uid}/press/", {"do": "avatar"}).status_code == 404
    assert not Avatar.objects.exists()
