from django.urls import path, re_path

from orders.api import decisions, views

ORDER = r"^orders/(?P<number>[A-Z0-9-]{1,20})/"

urlpatterns = [
    path("products/", views.Products.as_view(), name="products"),
    # Nothing but what a SKU or a number is made of: the rest never gets as far as the database.
    re_path(r"^products/(?P<sku>[\w.-]{1,40})/$", views.OneProduct.as_view(), name="product"),
    path("orders/", views.Orders.as_view(), name="orders"),
    re_path(ORDER + "$", views.OneOrder.as_view(), name="order"),
    re_path(ORDER + "timeline/$", views.OrderTimeline.as_view(), name="order_timeline"),
    re_path(ORDER + "cancel/$", decisions.Cancel.as_view(), name="order_cancel"),
    re_path(ORDER + "refunds/$", decisions.Refunds.as_view(), name="order_refunds"),
    re_path(ORDER + "shipments/$", decisions.Shipments.as_view(), name="order_shipments"),
    re_path(ORDER + "returns/$", decisions.Returns.as_view(), name="order_returns"),
]
