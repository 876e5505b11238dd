from django.urls import path

from orders.views import cancelling, cart, checkout, currency, history, order, returning, shelf, theme, webhook

app_name = "orders"

urlpatterns = [
    path("", shelf.catalogue, name="catalogue"),
    path("products/<slug:slug>/", shelf.product, name="product"),
    path("cart/", cart.cart, name="cart"),
    path("cart/add/", cart.cart_add, name="cart_add"),
    path("cart/change/", cart.cart_change, name="cart_change"),
    path("checkout/", checkout.checkout, name="checkout"),
    path("checkout/summary/", checkout.checkout_summary, name="checkout_summary"),
    path("checkout/voucher/", checkout.checkout_voucher, name="checkout_voucher"),
    path("accounts/orders/", history.history, name="history"),
    path("orders/<str:number>/", order.order, name="order"),
    path("orders/<str:number>/progress/", order.order_progress, name="order_progress"),
    path("orders/<str:number>/receipt/", order.receipt, name="receipt"),
    path("orders/<str:number>/cancel/", cancelling.cancel, name="cancel"),
    path("orders/<str:number>/return/", returning.send_back, name="send_back"),
    path("currency/", currency.currency, name="currency"),
    path("webhooks/stripe/", webhook.stripe, name="stripe_webhook"),
    path("theme/", theme.theme, name="theme"),
]
