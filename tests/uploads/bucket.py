"""A small store that speaks as much S3 as ours needs, for tests: objects in memory, gone with it."""

import hashlib
import re
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket(ThreadingHTTPServer):
    """Its one bucket is called media."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Speaker)
        self.objects, self.asked = {}, []

    @property
    def url(self):
        """What STORAGE_URL would say."""
        return f"s3+http://key:secret@127.0.0.1:{self.server_port}/media?region=eu-west-1"


@contextmanager
def running():
    with Bucket() as bucket:
        threading.Thread(target=bucket.serve_forever, daemon=True).start()
        yield bucket
        bucket.shutdown()


class _Speaker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.server.objects[self._key()] = self._sent()
        self._answer(200, headers={"ETag": self._tag()})

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if not self._key():
            self._answer(200, self._listing(query.get("prefix", [""])[0], query.get("delimiter", [""])[0]))
        elif self._key() not in self.server.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(*self._content())

    do_HEAD = do_GET

    def do_DELETE(self):
        self.server.objects.pop(self._key(), None)
        self._answer(204)

    def _key(self):
        return unquote(urlsplit(self.path).path).removeprefix("/media").lstrip("/")

    def _tag(self):
        return f'"{hashlib.md5(self.server.objects[self._key()]).hexdigest()}"'

    def _content(self):
        content = self.server.objects[self._key()]
        headers = {"ETag": self._tag(), "Last-Modified": formatdate(usegmt=True), "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return 200, content, headers
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return 206, content[first : last + 1], headers

    def _listing(self, prefix, delimiter):
        names = [name for name in sorted(self.server.objects) if name.startswith(prefix)]
        inside = [name for name in names if not delimiter or delimiter not in name[len(prefix) :]]
        folders = {prefix + name[len(prefix) :].split(delimiter)[0] + delimiter for name in set(names) - set(inside)}
        rows = [
            f"<Contents><Key>{escape(n)}</Key><Size>{len(self.server.objects[n])}</Size></Contents>" for n in inside
        ]
        rows += [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)]
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(rows)}</ListBucketResult>".encode()

    def _sent(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return body
        whole = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            length = int(size.split(b";")[0], 16)
            if not length:
                break
            whole, body = whole + rest[:length], rest[length + 2 :]
        return whole

    def _answer(self, status, body=b"", headers=None):
        self.server.asked.append((self.command, self._key()))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass
