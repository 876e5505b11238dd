"""A shop's endpoint for events."""

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stripe

SECRET = "whsec_of_these_tests_only"


class Receiver:
    """A shop's endpoint that keeps what it gets, and answers what it is told to."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[bytes, str]] = queue.Queue()
        self.answers: list[int] = []
        receiver = self

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.put((body, self.headers["Stripe-Signature"]))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.options = "--webhook-url", f"http://127.0.0.1:{self.server.server_port}/", "--webhook-secret", SECRET

    def event(self) -> stripe.Event:
        body, signature = self.got.get(timeout=5)
        return stripe.Webhook.construct_event(body, signature, SECRET)
