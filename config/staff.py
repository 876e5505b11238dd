"""The staff pages' frame: their menu, their colours, their name."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _may(permission: str) -> Any:
    return lambda request: request.user.has_perm(permission)


def _entry(title: str, icon: str, model: str, **more: Any) -> dict[str, Any]:
    app, name = model.split(".")
    link = reverse_lazy(f"admin:{app}_{name}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": _may(f"{app}.view_{name}"), **more}


def _page(title: str, icon: str, name: str, permission: str = "") -> dict[str, Any]:
    """A page that is no list of rows; without a permission for all staff."""
    entry = {"title": title, "icon": icon, "link": reverse_lazy(name)}
    return entry | ({"permission": _may(permission)} if permission else {})


UNFOLD = {
    "SITE_TITLE": "Waybill",
    "SITE_HEADER": "Waybill",
    "SITE_SUBHEADER": "For staff",
    "SITE_URL": "/",
    "SITE_ICON": lambda _request: static("mark.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("mark.svg")}],
    "STYLES": [lambda _request: static("admin-waybill.css")],
    "SHOW_BACK_BUTTON": False,
    "SHOW_HISTORY": False,
    "BORDER_RADIUS": "6px",
    # The shop's blue. Red and amber are kept for what is wrong.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 266)",
            "100": "oklch(93.5% .03 266)",
            "200": "oklch(88% .058 266)",
            "300": "oklch(81% .1 266)",
            "400": "oklch(70% .15 266)",
            "500": "oklch(58% .19 266)",
            "600": "oklch(49% .2 266)",
            "700": "oklch(42% .19 266)",
            "800": "oklch(36% .16 266)",
            "900": "oklch(31% .12 266)",
            "950": "oklch(23% .08 266)",
        },
    },
    "DASHBOARD_CALLBACK": "orders.admin.dashboard.dashboard",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "",
                "items": [{"title": "Dashboard", "icon": "space_dashboard", "link": reverse_lazy("admin:index")}],
            },
            {
                "title": "Shop",
                "items": [
                    _entry("Orders", "receipt_long", "orders.order"),
                    _entry("Products", "sell", "orders.product"),
                    _entry("Stock", "inventory_2", "orders.stock"),
                    _entry("Uploads", "image", "uploads.upload"),
                    _entry("Vouchers", "redeem", "orders.voucher"),
                    _entry("Delivery", "package_2", "orders.shippingmethod"),
                    _entry("Taxes", "percent", "orders.taxrate"),
                ],
            },
            {
                "title": "Money",
                "items": [
                    _entry("Differences", "balance", "orders.difference"),
                    _entry("Bank events", "account_balance", "orders.gatewayevent"),
                ],
            },
            {
                "title": "After the commit",
                "items": [
                    _page("Pipeline", "account_tree", "pipeline", "notifications.view_delivery"),
                    _entry(
                        "Failures",
                        "error",
                        "notifications.failure",
                        badge="notifications.admin.failures.dead_count",
                        badge_variant="danger",
                    ),
                    _entry("Deliveries", "local_shipping", "notifications.delivery"),
                    _entry("Events", "bolt", "notifications.event"),
                    _entry("Letters", "mail", "notifications.letter"),
                    _entry("Webhooks", "webhook", "notifications.endpoint"),
                    _entry("Workers", "memory", "notifications.worker"),
                    _entry("Audit log", "history_edu", "notifications.auditentry"),
                    _page("Decision guide", "alt_route", "advise"),
                    _page("System", "monitor_heart", "system", "notifications.view_worker"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _entry("Campaigns", "campaign", "notifications.campaign"),
                    _entry("Mailing list", "contact_mail", "notifications.subscriber"),
                    _entry("Accounts", "person", "accounts.user"),
                    _entry("Groups", "group", "auth.group"),
                ],
            },
        ],
    },
}
