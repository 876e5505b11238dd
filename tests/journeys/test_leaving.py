"""A person who leaves a running shop: closed at once, and found in no table, letter, log or file a little later."""

import secrets

import redis

from tests.journeys import tables
from tests.journeys.test_an_order import fill_cart, letters, typed
from tests.rig import until

PASSWORD = "correct horse battery"
STREET = "kanarienvogelstraat"
REASON = "she said so herself"


def signed_up(shop, email):
    """A visitor with an account, and things in the cart."""
    visitor = fill_cart(shop)
    visitor.go("/accounts/signup/")
    visitor.submit("/accounts/signup/", email=email, name="Kanarina Vogel", password1=PASSWORD)
    visitor.submit("/accounts/confirm-email/", code=shop.code_for(email))
    visitor.go("/checkout/")
    return visitor


def close(visitor):
    visitor.go("/accounts/delete/")
    visitor.submit("/accounts/reauthenticate/", password=PASSWORD)
    return visitor.send("/accounts/delete/", visitor.form("").fields | {"sure": "yes"})


def in_files(shop, words):
    """But for the database's own: what was deleted stays in its free pages until something else is written there."""
    kept = [path for path in shop.folder.rglob("*") if path.is_file() and ".sqlite3" not in path.name]
    texts = {path.relative_to(shop.folder).as_posix(): path.read_bytes().decode(errors="replace") for path in kept}
    return [(name, word) for name, text in texts.items() for word in words if word in f"{name} {text}".lower()]


def in_broker(shop, words):
    """In the names and values of all its keys, of whatever kind."""
    with redis.Redis.from_url(shop.facts["broker_url"]) as broker:
        texts = {repr(key): f"{key!r} {_value(broker, key)!r}".lower() for key in broker.scan_iter()}
    return [(name, word) for name, text in texts.items() for word in words if word in text]


def _value(broker, key):
    kind = broker.type(key).decode()
    readers = {
        "string": broker.get,
        "hash": broker.hgetall,
        "set": broker.smembers,
        "list": lambda name: broker.lrange(name, 0, -1),
        "zset": lambda name: broker.zrange(name, 0, -1),
    }
    return readers[kind](key)


def a_broker_that_is_searched(shop):
    """It is found out, were a word in any kind of value; and there is something to search."""
    with redis.Redis.from_url(shop.facts["broker_url"]) as broker:
        assert broker.dbsize() > 0
        broker.rpush("probe-list", "x", "probe-word")
        broker.hset("probe-hash", "probe-word", 1)
        broker.set("probe-word", 1)
        assert len(in_broker(shop, ["probe-word"])) == 3
        broker.delete("probe-list", "probe-hash", "probe-word")


def state_of_erasure(shop):
    return tables.rows(shop, "SELECT state FROM notifications_erasure ORDER BY id DESC LIMIT 1")[0][0]


def test_who_leaves_is_found_nowhere(shop, books_balance, no_server_error):
    name = f"kanarina{secrets.token_hex(4)}"
    email, words = f"{name}@example.com", (name, STREET, REASON)
    visitor = signed_up(shop, email)
    visitor.submit("/checkout/", **typed(email, name=name, line1=STREET))
    [number] = tables.numbers(shop, email)
    letters(shop, number)
    visitor.go("/accounts/export/")
    visitor.send("/accounts/export/", visitor.form("").fields)
    until(lambda: "Download it" in visitor.go("/accounts/export/").text, within=30, what="the copy")
    decided = {"Idempotency-Key": secrets.token_hex(8)}
    shop.post(f"/api/v1/orders/{number}/cancel/", {"reason": REASON}, headers=decided)
    until(lambda: len(shop.mailbox(to=email)) >= 4, within=30, what="all letters")
    assert {word for *_, word in tables.naming(shop, *words)} == set(words)
    assert in_files(shop, words) != []
    a_broker_that_is_searched(shop)

    page = close(visitor)
    until(lambda: state_of_erasure(shop) == "checking", within=30, what="all parts to be erased")
    tables.hurry(shop, "notifications.erase_again")
    until(lambda: state_of_erasure(shop) == "done", within=30, what="the second look")

    assert "Your account is closed" in page.text
    assert tables.naming(shop, *words) == []
    assert in_files(shop, words) == []
    assert in_broker(shop, words) == []
    books_balance()
