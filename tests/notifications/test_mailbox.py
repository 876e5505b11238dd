import json
import random
import smtplib
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.test import Client, override_settings

from config import ports
from notifications.mail import mailbox

CHECKOUT = Path(__file__).resolve().parents[2]


def a_letter(*, message_id="<one@waybill.example>", to="buyer@example.com", subject="Your order", html="<p>Thanks</p>"):
    letter = EmailMessage()
    letter["From"] = "shop@waybill.example"
    letter["To"] = to
    letter["Subject"] = subject
    letter["Message-ID"] = message_id
    letter.set_content("Thanks, see https://waybill.example/orders/1/")
    letter.add_alternative(html, subtype="html")
    return letter


def keep(box, **details):
    letter = a_letter(**details)
    return box.keep(letter.as_bytes(), sender="shop@waybill.example", to=[letter["To"]])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mailbox"


@pytest.fixture
def box(folder):
    return mailbox.Mailbox(folder)


@pytest.fixture
def server(folder):
    [port] = ports.free_ports(1)
    argv = [sys.executable, "-m", "notifications.mail.mailbox", "--port", str(port), "--folder", str(folder)]
    process = subprocess.Popen(argv, cwd=CHECKOUT)
    yield port
    process.terminate()
    assert process.wait(5) == 0


@pytest.fixture
def shop(tmp_path, folder, db):
    with override_settings(WAYBILL_DATA=tmp_path, LOCAL=True):
        yield Client()


def connect(port):
    for _ in range(500):
        try:
            return smtplib.SMTP("127.0.0.1", port)
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("The mail server did not start.")


def test_an_accepted_letter_is_on_disk_with_its_envelope(server, folder):
    with connect(server) as sender:
        sender.send_message(a_letter(), from_addr="bounce@waybill.example", to_addrs=["a@example.com", "b@example.com"])

    [path] = folder.glob("*.eml")
    kept = mailbox.read(path)
    assert (kept["X-MailFrom"], kept["X-RcptTo"]) == ("bounce@waybill.example", "a@example.com, b@example.com")
    assert kept["Subject"] == "Your order"


def test_a_second_receipt_of_a_message_is_noted_and_not_kept(server, folder):
    with connect(server) as sender:
        sender.send_message(a_letter())
        sender.send_message(a_letter())

    receipts = [json.loads(line) for line in (folder / "receipts.jsonl").read_text().splitlines()]
    assert len(list(folder.glob("*.eml"))) == 1
    assert [(receipt["message_id"], receipt["stored"]) for receipt in receipts] == [
        ("<one@waybill.example>", True),
        ("<one@waybill.example>", False),
    ]


def test_a_restarted_server_knows_what_it_kept(folder, box):
    keep(box)

    assert keep(mailbox.Mailbox(folder)) is False


def test_letters_without_a_message_id_are_all_kept(folder, box):
    for _ in range(2):
        box.keep(b"Subject: hello\r\n\r\nhello\r\n", sender="a@example.com", to=["b@example.com"])

    assert len(list(mailbox.mails(folder))) == 2


def test_letters_are_listed_newest_first_and_by_recipient(folder, box):
    keep(box, message_id="<1@x>", to="first@example.com", subject="First")
    keep(box, message_id="<2@x>", to="second@example.com", subject="Second")

    assert [mail.subject for mail in mailbox.mails(folder)] == ["Second", "First"]
    assert [mail.subject for mail in mailbox.mails(folder, to="FIRST@")] == ["First"]


def test_the_empty_mailbox_names_the_mail_server(shop):
    with override_settings(EMAIL_HOST="127.0.0.1", EMAIL_PORT=2525):
        page = shop.get("/mailbox/").content.decode()

    assert "No mail yet." in page
    assert "127.0.0.1:2525" in page


def test_a_letter_shows_its_text_with_links_its_headers_and_its_frame(shop, folder, box):
    keep(box)
    [mail] = mailbox.mails(folder)

    page = shop.get(f"/mailbox/{mail.name}/").content.decode()

    assert '<a href="https://waybill.example/orders/1/" rel="nofollow">' in page
    assert f'src="/mailbox/{mail.name}/html/" sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "&lt;one@waybill.example&gt;" in page


def test_the_html_of_a_letter_is_locked_in(shop, folder, box):
    keep(box, html="<head></head><script>alert(1)</script>")
    [mail] = mailbox.mails(folder)

    answer = shop.get(f"/mailbox/{mail.name}/html/")

    assert answer["Content-Security-Policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline';"
        " img-src data:; frame-ancestors 'self'"
    )
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.content.startswith(b'<head><base target="_blank"></head>')


@pytest.mark.parametrize("name", ["up", "..%2Fup", "20260101T000000000000-0123456789abcdef", "%2e%2e"])
def test_a_name_that_the_server_did_not_give_is_not_found(shop, tmp_path, name):
    (tmp_path / "up.eml").write_text("secret")

    assert shop.get(f"/mailbox/{name}/").status_code == 404


def test_production_has_no_mailbox(shop):
    with override_settings(LOCAL=False):
        assert shop.get("/mailbox/").status_code == 404


ODD = [b"\x00", b"\xff", b"=?", b"?=", b"<", b'"', b"(", b";", b",", b":", b"\r\n", b"[", b"@", b"\\", b"boundary="]


def mutilated(dice):
    """A letter with a group of recipients, an unknown alphabet and up to six accidents."""
    letter = bytearray(a_letter(subject="Röd mugg").as_bytes())
    letter[:0] = b'Cc: crew: "B, C" <b@example.com>;\r\n'
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(letter))
        letter[at : at + dice.randint(0, 8)] = dice.choice([*ODD, b"", b"", b""])
    return bytes(letter).replace(b"utf-8", b"klingon") if dice.random() < 0.3 else bytes(letter)


def test_no_letter_is_so_broken_that_the_mailbox_cannot_show_it(tmp_path):
    kept = tmp_path / "20260101T000000000000-0123456789abcdef.eml"
    for seed in range(300):
        kept.write_bytes(mutilated(random.Random(seed)))
        message = mailbox.read(kept)

        assert isinstance(mailbox.summary(kept).subject, str)
        assert all(isinstance(words, str) for _, words in mailbox.headers(message))
        assert isinstance(mailbox.part(message, "plain") + mailbox.part(message, "html"), str)


def test_a_broken_letter_has_a_page(shop, folder, box):
    broken = b"To: group: <\r\nSubject: =?x?q?=?=\r\nContent-Type: text/html; charset=klingon\r\n\r\n<p>nuqneH\xff"
    box.keep(broken, sender="", to=[])
    [mail] = mailbox.mails(folder)

    assert shop.get("/mailbox/").status_code == 200
    assert shop.get(f"/mailbox/{mail.name}/").status_code == 200
    assert "nuqneH" in shop.get(f"/mailbox/{mail.name}/html/").content.decode()
