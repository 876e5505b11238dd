from django.urls import path

from notifications.views import newsletter

urlpatterns = [
    path("confirm/<str:token>/", newsletter.confirm, name="newsletter_confirm"),
    path("leave/<str:token>/", newsletter.leave, name="newsletter_leave"),
]
