"""Stock that was counted: from a list, with every bad line named and nothing done by halves, or by hand."""

import io
import json
import sys
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from notifications.models import Event
from orders import inventory
from orders.idempotency import Key, KeyReused
from orders.models import Product, Stock, StockMovement
from orders.sheets import MOST_BYTES, MOST_LINES, MOST_UNITS, BadSheet, read
from orders.stocktake import NotANumber, OutOfStock, import_stock, recount

pytestmark = pytest.mark.django_db(transaction=True)


def product(sku="MUG", on_hand=10, reserved=0):
    made = Product.objects.create(sku=sku, slug=sku.lower(), name=f"A {sku.lower()}", price=1200)
    inventory.set_on_hand(product=made, on_hand=on_hand, note="test")
    Stock.objects.filter(product=made).update(reserved=reserved)
    return made


@pytest.fixture
def shelf():
    """A mug, of which two are promised, and a hat."""
    return product("MUG", 10, reserved=2), product("HAT", 5)


def on_hand():
    return dict(Stock.objects.values_list("product__sku", "on_hand"))


def sheet(*lines, head="sku,on_hand,note"):
    return "\n".join([head, *lines]).encode()


def faults(data):
    """What is wrong with it, as (line, field); nothing may have changed."""
    before, moved = on_hand(), StockMovement.objects.count()
    with pytest.raises(BadSheet) as refusal:
        import_stock(data=data)
    assert (on_hand(), StockMovement.objects.count()) == (before, moved)
    return [(fault.line, fault.field) for fault in refusal.value.faults]


def reasons(data):
    with pytest.raises(BadSheet) as refusal:
        import_stock(data=data)
    return [fault.reason for fault in refusal.value.faults]


def done(data):
    return [(change.sku, change.before, change.after) for change in import_stock(data=data).changes]


# -- What it does -----------------------------------------------------------------------------


def test_counts_are_set_and_each_difference_is_a_movement(shelf):
    report = import_stock(data=sheet("MUG,7,dropped three", "HAT,5,"))

    assert (report.lines, [(change.sku, change.difference) for change in report.changes]) == (2, [("MUG", -3)])
    assert on_hand() == {"MUG": 7, "HAT": 5}
    [moved] = StockMovement.objects.filter(reason="import")
    assert (moved.product.sku, moved.quantity, moved.note, moved.actor) == ("MUG", -3, "dropped three", "system")


def test_changes_are_added_and_taken_away(shelf):
    assert done(sheet("MUG,-3", "HAT,+4", head="sku,change")) == [("MUG", 10, 7), ("HAT", 5, 9)]
    assert set(StockMovement.objects.filter(reason="import").values_list("note", flat=True)) == {"stock import"}


def test_the_sum_of_the_movements_stays_what_is_on_hand(shelf):
    import_stock(data=sheet("MUG,3", "HAT,0"))
    import_stock(data=sheet("MUG,+40", head="sku,change"))

    for stock in Stock.objects.all():
        assert stock.on_hand == sum(stock.product.movements.values_list("quantity", flat=True))


def test_a_product_that_has_never_been_counted_gets_its_first_count():
    Product.objects.create(sku="NEW", slug="new", name="New", price=100)

    assert import_stock(data=sheet("NEW,4"), dry_run=True).changes[0].after == 4
    assert not Stock.objects.exists()
    assert done(sheet("NEW,4")) == [("NEW", 0, 4)]


def test_a_dry_run_tells_the_same_and_changes_nothing(shelf):
    data = sheet("MUG,7", "HAT,9")

    dry = import_stock(data=data, dry_run=True)

    assert on_hand() == {"MUG": 10, "HAT": 5}
    assert dry == import_stock(data=data)


def test_an_import_is_told_once_and_a_crossed_limit_too(shelf):
    Stock.objects.update(is_low=False)
    Event.objects.all().delete()

    import_stock(data=sheet("MUG,4", "HAT,9"))

    [updated] = Event.objects.filter(name="inventory.updated")
    assert updated.payload == {"order_id": None, "skus": ["MUG", "HAT"], "changes": [-6, 4]}
    assert [event.payload["sku"] for event in Event.objects.filter(name="inventory.low")] == ["MUG"]


def test_ten_thousand_lines_cost_a_few_hundred_statements(django_assert_max_num_queries):
    Product.objects.bulk_create(
        Product(sku=f"P{number}", slug=f"p{number}", name=f"P{number}", price=100) for number in range(MOST_LINES)
    )

    with django_assert_max_num_queries(500):
        report = import_stock(data=sheet(*(f"P{number},{number}" for number in range(MOST_LINES)), head="sku,on_hand"))

    assert (report.lines, len(report.changes)) == (MOST_LINES, MOST_LINES - 1)
    assert Stock.objects.filter(on_hand=9999).get().product.sku == "P9999"


# -- However it was saved ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("cp1252"),
        lambda text: text.replace(",", ";").encode("utf-8-sig"),
        lambda text: text.replace(",", "\t").encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: f"\n\n{text}\n\n,,\n".encode(),
        lambda text: text.replace("sku,on_hand,note", "SKU , On Hand,Note,,").encode(),
        lambda text: text.replace("MUG,7", '"MUG","7"').encode(),
        lambda text: text.replace("MUG,7", " MUG , 7 ").encode(),
    ],
    ids=[
        "plain",
        "bom",
        "utf16",
        "cp1252",
        "semicolons",
        "tabs",
        "crlf",
        "cr",
        "blank-lines",
        "headings",
        "quotes",
        "spaces",
    ],
)
def test_a_list_is_read_as_spreadsheets_save_it(shelf, encode):
    assert done(encode("sku,on_hand,note\nMUG,7,zerdrückt\nHAT,9,\n")) == [("MUG", 10, 7), ("HAT", 5, 9)]
    assert StockMovement.objects.get(product__sku="MUG", reason="import").note == "zerdrückt"


def test_columns_may_stand_in_any_order_and_notes_hold_commas(shelf):
    assert done(b'note,on_hand,sku\n"broken, all of them",3,MUG\n') == [("MUG", 10, 3)]
    assert StockMovement.objects.get(reason="import").note == "broken, all of them"


# -- What is wrong with it --------------------------------------------------------------------


def test_every_bad_line_is_named_and_nothing_is_done(shelf):
    data = sheet("MUG,7", "NOPE,1", "HAT,1.5", "HAT,3", "MUG,4", "=1+1,5", ",5", "PEN,")

    assert faults(data) == [
        (3, "sku"),
        (4, "on_hand"),
        (5, "sku"),
        (6, "sku"),
        (7, "sku"),
        (8, "sku"),
        (9, "on_hand"),
    ]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "Is missing."),
        ("1.5", "Must be a whole number, not '1.5'."),
        ("1e9", "Must be a whole number, not '1e9'."),
        ("1000000000", f"Must be 0 to {MOST_UNITS}."),
        ("9" * 5000, f"Must be 0 to {MOST_UNITS}."),
        ("-1", f"Must be 0 to {MOST_UNITS}, not -1."),
        ("=1+1", "Is a formula, not a number: '=1+1'."),
        ("+=1", "Is a formula, not a number: '=1'."),
        ("@SUM(A1)", "Is a formula, not a number: '@SUM(A1)'."),
        ("NaN", "Must be a whole number, not 'NaN'."),
        ("٣", "Must be a whole number, not '٣'."),
        ("0x10", "Must be a whole number, not '0x10'."),
        ("1_000", "Must be a whole number, not '1_000'."),
        ("1 000", "Must be a whole number, not '1 000'."),
        ("1", "Would leave 1 on hand, and 2 are promised to orders in payment."),
    ],
)
def test_why_a_count_is_none_is_said_with_its_limit(shelf, cell, reason):
    assert reasons(sheet(f"MUG,{cell}")) == [reason]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("-9", "Would leave 1 on hand, and 2 are promised to orders in payment."),
        ("-11", f"Would leave -1 on hand: must be 0 to {MOST_UNITS}."),
        (str(MOST_UNITS), f"Would leave {MOST_UNITS + 10} on hand: must be 0 to {MOST_UNITS}."),
        ("99999999", f"Must be -{MOST_UNITS} to {MOST_UNITS}."),
        ("--1", "Is a formula, not a number: '-1'."),
        ("+", "Is missing."),
        ("1.0", "Must be a whole number, not '1.0'."),
    ],
)
def test_why_a_change_is_none_is_said_with_its_limit(shelf, cell, reason):
    assert reasons(sheet(f"MUG,{cell}", head="sku,change")) == [reason]


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("=cmd|' /C calc'!A0", "Begins like a formula: \"=cmd|' /C calc'!A0\"."),
        ("@x", "Begins like a formula: '@x'."),
        ("x" * 201, "Has at most 200 characters."),
        ('"two\nlines"', "May not contain line breaks or control characters."),
    ],
)
def test_a_note_that_would_harm_somebody_elses_spreadsheet_is_refused(shelf, note, reason):
    assert reasons(sheet(f"MUG,7,{note}")) == [reason]


def test_lines_are_counted_as_an_editor_shows_them(shelf):
    data = b'sku,on_hand,note\n\nMUG,7,"first\nsecond"\n\nNOPE,1\n'

    assert faults(data) == [(3, "note"), (6, "sku")]


@pytest.mark.parametrize(
    ("head", "field"),
    [
        ("sku", "on_hand"),
        ("on_hand", "sku"),
        ("sku,on_hand,change", "on_hand"),
        ("sku,on_hand,sku", "sku"),
        ("sku,on_hand,price", "price"),
        ("sku,,on_hand", "a column without a name"),
    ],
)
def test_columns_that_are_not_right_are_named_in_line_one(shelf, head, field):
    assert faults(sheet("MUG,7", head=head)) == [(1, field)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Is empty"),
        (b" \n\n", "Is empty"),
        (b"sku,on_hand\n", "Names columns, and then no product."),
        (b"PK\x03\x04", "Is a spreadsheet's own format: save it as CSV."),
        (b"sku,on_hand\nM\x00G,1", "Is no text"),
        (b"sku,on_hand\n\x81\x8d,1", "Is no text"),
        (b"\xff\xfes", "Is no text"),
        (b'sku,on_hand\n"MUG,1\n', "Is no CSV from here on"),
        (b"x" * (MOST_BYTES + 1), f"Is larger than {MOST_BYTES} bytes."),
        (sheet(*(f"P{n},1" for n in range(MOST_LINES + 1)), head="sku,on_hand"), f"Has more than {MOST_LINES} lines."),
    ],
    ids=[
        "nothing",
        "blank",
        "no-rows",
        "xlsx",
        "nul",
        "cp1252-hole",
        "half-utf16",
        "open-quote",
        "too-large",
        "too-long",
    ],
)
def test_a_file_that_is_no_list_is_refused_as_a_whole(data, reason):
    [told] = reasons(data)

    assert told.startswith(reason)


def test_cells_beyond_the_last_column_are_named(shelf):
    assert faults(sheet("MUG,7,note,what", "HAT,7,note,,")) == [(2, "file")]


@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_is_sent_is_read_or_refused(data):
    try:
        rows, wrong = read(b"sku,on_hand,note\n" + data)
    except BadSheet as refusal:
        wrong, rows = refusal.faults, []
    assert all(fault.line >= 1 and fault.field and fault.reason for fault in wrong)
    assert all(0 <= row.on_hand <= MOST_UNITS and 0 < len(row.sku) <= 40 for row in rows)


# -- Once, and at once ------------------------------------------------------------------------


def key(name="k", what="h"):
    return Key(scope="staff:1", key=name, request_hash=what)


def test_the_same_key_changes_the_stock_once(shelf):
    data = sheet("MUG,+5", head="sku,change")

    first = import_stock(data=data, key=key())
    again = import_stock(data=data, key=key())

    assert (len(first.changes), again.changes, again.lines) == (1, None, 1)
    assert on_hand()["MUG"] == 15
    with pytest.raises(KeyReused):
        import_stock(data=data, key=key(what="other"))


def test_a_refused_list_leaves_its_key_free(shelf):
    with pytest.raises(BadSheet):
        import_stock(data=sheet("NOPE,1"), key=key())

    assert import_stock(data=sheet("MUG,3"), key=key()).changes


@pytest.mark.parametrize("keys", ["one key", "a key each"])
def test_eight_lists_at_once_are_done_one_after_the_other(shelf, keys):
    data = sheet("HAT,+1", "MUG,+1", head="sku,change")
    start = threading.Barrier(8)

    def run(n):
        start.wait()
        import_stock(data=data, key=key("k" if keys == "one key" else f"k{n}"))
        connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    times = 1 if keys == "one key" else 8
    assert on_hand() == {"MUG": 10 + times, "HAT": 5 + times}
    assert StockMovement.objects.filter(reason="import").count() == 2 * times


# -- On the command line ----------------------------------------------------------------------


def command(*words):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("stock", *words, stdout=out, stderr=err)
        code = 0
    except SystemExit as exit:
        code = exit.code
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def file(tmp_path):
    def written(data):
        path = tmp_path / "stock.csv"
        path.write_bytes(data)
        return str(path)

    return written


def test_the_command_says_what_it_changed(shelf, file):
    path = file(sheet("MUG,7", "HAT,5"))

    assert command("import", path, "--dry-run") == (0, "MUG: 10 -> 7 (-3)\n1 of 2 products would change.\n", "")
    assert command("import", path) == (0, "MUG: 10 -> 7 (-3)\n1 of 2 products changed.\n", "")
    assert on_hand()["MUG"] == 7


def test_the_command_names_every_bad_line_and_fails(shelf, file):
    code, out, err = command("import", file(sheet("MUG,x", "NOPE,1")))

    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "line 2, on_hand: Must be a whole number, not 'x'.",
        "line 3, sku: There is no product 'NOPE'.",
        "Nothing was changed: 2 faults.",
    ]


def test_the_command_tells_programs_the_same(shelf, file):
    _, good, _ = command("import", file(sheet("MUG,7,why")), "--json")
    code, bad, _ = command("import", file(sheet("MUG,x")), "--json")

    assert json.loads(good) == {
        "ok": True,
        "applied": True,
        "lines": 1,
        "changes": [{"line": 2, "sku": "MUG", "before": 10, "after": 7, "note": "why"}],
        "faults": [],
    }
    assert (code, json.loads(bad)["faults"][0]["line"]) == (1, 2)


def test_the_command_reads_standard_input(shelf, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sheet("MUG,7"))))

    assert command("import", "-")[0] == 0
    assert on_hand()["MUG"] == 7


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        command("import", str(tmp_path / "nowhere.csv"))


def test_the_command_sets_one_product(shelf):
    assert command("set", "MUG", "7", "--json") == (
        0,
        '{"sku": "MUG", "on_hand": 7, "reserved": 2, "available": 5}\n',
        "",
    )
    with pytest.raises(CommandError, match="promised"):
        command("set", "MUG", "1")
    with pytest.raises(CommandError, match="Must be 0 to"):
        command("set", "MUG", str(MOST_UNITS + 1))


# -- By hand ----------------------------------------------------------------------------------


def test_a_recount_is_kept_with_its_reason(shelf):
    mug, _ = shelf

    stock = recount(product=mug, on_hand=7, reason="three broken", key=key())
    again = recount(product=mug, on_hand=7, reason="three broken", key=key())

    assert (stock.on_hand, again.on_hand) == (7, 7)
    [moved] = StockMovement.objects.filter(reason="correction", note="three broken")
    assert moved.quantity == -3


@pytest.mark.parametrize(("units", "refused"), [(1, OutOfStock), (-1, NotANumber), (MOST_UNITS + 1, NotANumber)])
def test_a_count_that_cannot_be_is_refused(shelf, units, refused):
    with pytest.raises(refused):
        recount(product=shelf[0], on_hand=units, reason="why")

    assert on_hand()["MUG"] == 10
