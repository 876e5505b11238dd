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


def hurry(shop, handler):
    """What waits for its time need not: this handler's deliveries are due now."""
    sql = "UPDATE notifications_delivery SET available_at = started.at FROM (SELECT max(queued_at) AS at FROM"
    _write(shop, f"{sql} notifications_letter) AS started WHERE handler = %s AND state = 'ready'", handler)


def _write(shop, sql, *values):
    url = shop.facts["database_url"]
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite://"), timeout=20) as connection:
            connection.execute(sql.replace("%s", "?"), values)
        return
    with psycopg.connect(url) as connection:
        connection.execute(sql, values)


def naming(shop, *words):
    """(table, column, word), wherever one of these is found in any column of any table."""
    is_sqlite = shop.facts["database_url"].startswith("sqlite")
    listed = "SELECT name FROM sqlite_master WHERE type = 'table'" if is_sqlite else PUBLIC
    return sorted({found for (table,) in rows(shop, listed) for found in _in_table(shop, table, words, is_sqlite)})


PUBLIC = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"


def _in_table(shop, table, words, is_sqlite):
    listed = rows(shop, "SELECT name FROM pragma_table_info(%s)" if is_sqlite else COLUMNS, table)
    for (column,) in listed:
        for word in words:
            holds = f'SELECT 1 FROM "{table}" WHERE lower(CAST("{column}" AS text)) LIKE %s LIMIT 1'
            if rows(shop, holds, f"%{word}%"):
                yield table, column, word
