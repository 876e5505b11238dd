"""The API, version 1: additive only."""

from django.urls import include, path

from accounts.api import Accounts
from uploads.api import OneUpload, Uploads

app_name = "api"
urlpatterns = [
    path("", include("orders.api.urls")),
    path("", include("notifications.api.urls")),
    path("uploads/", Uploads.as_view(), name="uploads"),
    path("uploads/<uuid:id>/", OneUpload.as_view(), name="upload"),
    path("accounts/", Accounts.as_view(), name="accounts"),
]
