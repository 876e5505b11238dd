from django.urls import path

from notifications.views import newsletter

urlpatterns = [
    path("", newsletter.join, name="newsletter"),
    path("confirm/<str:answer>/", newsletter.confirm, name="newsletter_confirm"),
    path("leave/<str:token>/", newsletter.leave, name="newsletter_leave"),
]
