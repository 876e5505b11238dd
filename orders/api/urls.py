from django.urls import path, re_path

from orders.api import views

urlpatterns = [
    path("products/", views.Products.as_view(), name="products"),
    # Nothing but what a SKU or a number is made of: the rest never gets as far as the database.
    re_path(r"^products/(?P<sku>[\w.-]{1,40})/$", views.OneProduct.as_view(), name="product"),
    path("orders/", views.Orders.as_view(), name="orders"),
    re_path(r"^orders/(?P<number>[A-Z0-9-]{1,20})/$", views.OneOrder.as_view(), name="order"),
    re_path(r"^orders/(?P<number>[A-Z0-9-]{1,20})/timeline/$", views.OrderTimeline.as_view(), name="order_timeline"),
]
