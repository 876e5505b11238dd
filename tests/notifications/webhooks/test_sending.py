"""One POST, and everything the other side may do with it."""

import contextlib
import socket
import threading
import time

import pytest

from notifications.webhooks import sending

pytestmark = pytest.mark.usefixtures("private")


def post(url):
    return sending.post(url, headers={"webhook-id": "msg_1", "Content-Type": "application/json"}, body='{"ä": 1}')


def test_what_arrives_is_what_was_written(receiver):
    answer = post(receiver.url)

    [heard] = receiver.heard
    assert (answer.status, answer.text, answer.error, answer.is_good) == (200, "ok", "", True)
    assert (heard.path, heard.body) == ("/hook?from=shop", '{"ä": 1}')
    assert heard.headers["webhook-id"] == "msg_1"
    assert heard.headers["host"] == receiver.url.split("/")[2]


@pytest.mark.parametrize("status", [199 + 1, 204, 299])
def test_any_2xx_is_good(receiver, status):
    receiver.answers = [(status, "")]

    assert post(receiver.url).is_good


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver, status):
    receiver.answers = [lambda handler: handler.answer(status, Location=receiver.url)]

    answer = post(receiver.url)

    assert (answer.status, answer.is_good, len(receiver.heard)) == (status, False, 1)


def test_nobody_there_is_an_answer_too():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = post(f"http://127.0.0.1:{taken.getsockname()[1]}/")

    assert (answer.status, answer.error) == (0, "ConnectionRefusedError: [Errno 111] Connection refused")


def test_an_answer_that_drips_in_is_given_up_in_time(receiver, slow, monkeypatch):
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.3)
    receiver.answers = [slow]

    answer = post(receiver.url)

    assert (answer.status, answer.error) == (0, "No answer within 0.3 s.")
    assert answer.seconds < 2


def test_the_status_counts_though_the_body_never_ends(receiver, endless_body, monkeypatch):
    monkeypatch.setattr(sending, "BODY_SECONDS", 0.2)
    receiver.answers = [endless_body]

    answer = post(receiver.url)

    assert (answer.status, answer.is_good, set(answer.text)) == (200, True, {"."})
    assert answer.seconds < 2


def test_a_resolver_that_does_not_answer_costs_no_more_than_the_rest(monkeypatch):
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))

    answer = post("http://mute.example.com/")

    assert answer.error == "No answer within 0.3 s."
    assert answer.seconds < 1


def test_a_handshake_that_drips_in_costs_no_more_than_the_rest(monkeypatch):
    """Bytes of a record that never ends: each would start an ordinary time-out anew."""
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.5)
    listening = socket.create_server(("127.0.0.1", 0))

    def drip():
        line, _ = listening.accept()
        with contextlib.suppress(OSError):
            line.sendall(b"\x16\x03\x03\x40\x00")
            for _ in range(100):
                time.sleep(0.05)
                line.sendall(b"\x00")

    threading.Thread(target=drip, daemon=True).start()
    answer = post(f"https://127.0.0.1:{listening.getsockname()[1]}/")

    listening.close()
    assert (answer.status, answer.error) == (0, "No answer within 0.5 s.")
    assert answer.seconds < 2


def test_headers_without_end_are_given_up(receiver, monkeypatch):
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.5)

    def endless(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
        for number in range(200):
            handler.wfile.write(b"X-%d: %s\r\n" % (number, b"a" * 1000))

    receiver.answers = [endless]

    assert "HTTPException" in post(receiver.url).error


def test_ten_megabytes_are_not_read(receiver):
    sent = []

    def huge(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(160):
                handler.wfile.write(b"a" * 65536)
                sent.append(65536)
        except OSError:
            pass
        gone.set()

    gone = threading.Event()
    receiver.answers = [huge]

    answer = post(receiver.url)

    assert gone.wait(5)
    assert (answer.status, len(answer.text)) == (200, sending.MOST_KEPT)
    assert sum(sent) < 10 * 1024 * 1024


def test_what_no_page_can_show_is_replaced(receiver):
    receiver.answers = [lambda handler: handler.wfile.write(b"HTTP/1.0 500 No\r\n\r\n\x00\x1b[31m\xff\nred")]

    assert post(receiver.url).text == "··[31m�\nred"


@pytest.mark.parametrize("nonsense", [b"\x00\x01\x02\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b""])
def test_what_is_not_http_is_an_error_with_a_name(receiver, nonsense):
    receiver.answers = [lambda handler: handler.wfile.write(nonsense)]

    answer = post(receiver.url)

    assert answer.status == 0
    assert answer.error
    assert "\x00" not in answer.error
