from django.urls import path

from notifications.api import views, webhooks

urlpatterns = [
    path("deliveries/", views.Deliveries.as_view(), name="deliveries"),
    path("deliveries/retry/", views.RetryDeliveries.as_view(), name="retry_deliveries"),
    path("deliveries/<uuid:id>/", views.OneDelivery.as_view(), name="delivery"),
    path("deliveries/<uuid:id>/retry/", views.RetryDelivery.as_view(), name="retry_delivery"),
    path("deliveries/<uuid:id>/discard/", views.DiscardDelivery.as_view(), name="discard_delivery"),
    path("events/", views.Events.as_view(), name="events"),
    path("events/<uuid:id>/", views.OneEvent.as_view(), name="event"),
    path("webhooks/", webhooks.Endpoints.as_view(), name="webhooks"),
    path("webhooks/<uuid:id>/", webhooks.OneEndpoint.as_view(), name="webhook"),
    path("webhooks/<uuid:id>/secret/", webhooks.Secret.as_view(), name="webhook_secret"),
    path("webhooks/<uuid:id>/test/", webhooks.Test.as_view(), name="webhook_test"),
    path("webhooks/<uuid:id>/deliveries/", webhooks.EndpointDeliveries.as_view(), name="webhook_deliveries"),
    path("webhooks/<uuid:id>/deliveries/<uuid:call>/resend/", webhooks.Resend.as_view(), name="webhook_resend"),
]
