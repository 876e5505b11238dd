from django.urls import path

from notifications.api import views

urlpatterns = [
    path("deliveries/", views.Deliveries.as_view(), name="deliveries"),
    path("deliveries/retry/", views.RetryDeliveries.as_view(), name="retry_deliveries"),
    path("deliveries/<uuid:id>/", views.OneDelivery.as_view(), name="delivery"),
    path("deliveries/<uuid:id>/retry/", views.RetryDelivery.as_view(), name="retry_delivery"),
    path("deliveries/<uuid:id>/discard/", views.DiscardDelivery.as_view(), name="discard_delivery"),
    path("events/", views.Events.as_view(), name="events"),
    path("events/<uuid:id>/", views.OneEvent.as_view(), name="event"),
]
