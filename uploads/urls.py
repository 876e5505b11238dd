from django.urls import path, re_path

from uploads.views import media, pages

urlpatterns = [
    path("uploads/", pages.uploads, name="uploads"),
    path("uploads/<uuid:uid>/row/", pages.row, name="upload_row"),
    path("uploads/<uuid:uid>/press/", pages.press, name="upload_press"),
    re_path(
        r"^media/(?P<until>[0-9]{10})/(?P<signature>[\w-]{43})/(?P<path>renditions/[0-9a-f-]{36}/[0-9a-f]{32}\.[a-z0-9]{3,4})$",
        media.media,
        name="media",
    ),
]
