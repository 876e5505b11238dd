from django.urls import path

from notifications.views import webhooks

urlpatterns = [
    path("", webhooks.webhooks, name="webhooks"),
    path("<uuid:uid>/", webhooks.webhook, name="webhook_endpoint"),
    path("<uuid:uid>/press/", webhooks.press, name="webhook_press"),
]
