"""The shop's tables as somebody with a database client sees them: plain SQL, none of the shop's own code."""

import sqlite3
import uuid

import psycopg


def rows(shop, sql, *values):
    """What a SELECT with `%s` marks returns, on whichever database the shop has."""
    url = shop.facts["database_url"]
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite://"), timeout=20) as connection:
            return connection.execute(sql.replace("%s", "?"), values).fetchall()
    with psycopg.connect(url) as connection:
        return connection.execute(sql, values).fetchall()


def references(shop, number):
    """Under which references the order's payment attempts are known to the bank."""
    sql = "SELECT a.id FROM orders_paymentattempt a JOIN orders_order o ON o.id = a.order_id WHERE o.number = %s"
    return {str(uuid.UUID(str(pk))) for (pk,) in rows(shop, sql, number)}


def charges(shop, number):
    """The money the bank says it took for this order, one ledger line a charge."""
    mine = references(shop, number)
    return [line for line in taken(shop) if line["reference"] in mine]


def taken(shop):
    """Every charge of the bank's ledger that succeeded."""
    return [line for line in shop.ledger() if (line["kind"], line["status"]) == ("charge", "succeeded")]


def numbers(shop, email):
    """The orders placed under this address."""
    return [number for (number,) in rows(shop, "SELECT number FROM orders_order WHERE email = %s", email)]


def deliveries(shop, correlation_id, columns="d.handler, d.state, w.kind"):
    """The deliveries that came of one request, with the worker that ran each."""
    return rows(
        shop,
        f"SELECT {columns} FROM notifications_delivery d JOIN notifications_event e ON e.id = d.event_id"
        " LEFT JOIN notifications_worker w ON w.id = d.worker_id WHERE e.correlation_id = %s ORDER BY d.id",
        correlation_id,
    )


def runners(shop):
    """Which kinds of process run handlers now: "relay", "worker"."""
    return {kind for (kind,) in rows(shop, "SELECT kind FROM notifications_worker WHERE stopped_at IS NULL")}
