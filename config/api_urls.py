"""The API, version 1: additive only."""

from django.urls import include, path

from accounts.api import Accounts

app_name = "api"
urlpatterns = [
    path("", include("orders.api.urls")),
    path("", include("notifications.api.urls")),
    path("accounts/", Accounts.as_view(), name="accounts"),
]
