"""Receives what the bank tells the shop and only writes it down: `python -m tests.crash.collector PORT FILE`.

A crash test brings these letters to the shop itself: twice, late, in another order, or never.
"""

import json
import os
import socketserver
import sys
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        line = json.dumps({"body": body, "signature": self.headers["Stripe-Signature"]}).encode() + b"\n"
        os.write(self.server.file, line)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Silent."""


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main(port, path):
    with Server(("127.0.0.1", int(port)), Handler) as server:
        server.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
