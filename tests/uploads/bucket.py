"""A small store that speaks as much S3 as ours needs, for tests: objects in memory, gone with it."""

import hashlib
import re
import secrets
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket(ThreadingHTTPServer):
    """Its one bucket is called media. Its lists come in short pages: who reads but the first is found out."""

    daemon_threads = True
    page = 5  # names; a real one has a thousand

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Speaker)
        self.objects, self.asked, self.changed = {}, [], {}
        self.parts = {}  # of files that come in parts: by upload id, number and bytes

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
        sent, upload = self._sent(), self._asked("uploadId")
        if not upload:
            self._keep(sent)
            self._answer(200, headers={"ETag": self._tag()})
        elif upload not in self.server.parts:
            self._answer(404, b"<Error><Code>NoSuchUpload</Code></Error>")
        else:
            self.server.parts[upload][int(self._asked("partNumber"))] = sent
            self._answer(200, headers={"ETag": f'"{hashlib.md5(sent).hexdigest()}"'})

    def do_POST(self):
        """The beginning and the end of a file in parts. It is there at the end, and whole."""
        upload, sent = self._asked("uploadId"), self._sent()
        if not upload:
            upload = secrets.token_hex(8)
            self.server.parts[upload] = {}
            self._answer(200, f"<R><UploadId>{upload}</UploadId></R>".encode())
            return
        parts = self.server.parts.pop(upload)
        told = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", sent)]
        assert told == sorted(parts), "a part is missing"
        self._keep(b"".join(parts[number] for number in told))
        self._answer(200, f"<R><Key>{escape(self._key())}</Key><ETag>{self._tag()}</ETag></R>".encode())

    def _keep(self, content):
        self.server.objects[self._key()] = content
        self.server.changed[self._key()] = time.time()

    def _asked(self, name):
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True).get(name, [""])[0]

    def do_GET(self):
        if not self._key():
            self._answer(200, self._listing(self._asked("prefix"), self._asked("delimiter"), self._asked("marker")))
        elif self._key() not in self.server.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(*self._content())

    do_HEAD = do_GET

    def do_DELETE(self):
        if upload := self._asked("uploadId"):
            self.server.parts.pop(upload, None)
        else:
            self.server.objects.pop(self._key(), None)
        self._answer(204)

    def _key(self):
        return unquote(urlsplit(self.path).path).removeprefix("/media").lstrip("/")

    def _tag(self):
        return f'"{hashlib.md5(self.server.objects[self._key()]).hexdigest()}"'

    def _content(self):
        content = self.server.objects[self._key()]
        headers = {
            "ETag": self._tag(),
            "Last-Modified": formatdate(self.server.changed[self._key()], usegmt=True),
            "Accept-Ranges": "bytes",
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return 200, content, headers
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return 206, content[first : last + 1], headers

    def _listing(self, prefix, delimiter, marker):
        """The next page of what lies there and of folders, in the order of their names. Says so when there are more."""
        names = sorted({self._as_listed(name, prefix, delimiter) for name in [*self.server.objects]})
        rest = [name for name in names if name.startswith(prefix) and name > marker]
        shown, more = rest[: self.server.page], len(rest) > self.server.page
        rows = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        # As Amazon's: the next marker only where there are folders, else it is the last key.
        rows += f"<NextMarker>{escape(shown[-1])}</NextMarker>" if more and delimiter else ""
        return f"<ListBucketResult>{rows}{''.join(map(self._row, shown))}</ListBucketResult>".encode()

    def _as_listed(self, name, prefix, delimiter):
        """Itself, or the folder under `prefix` that it is in."""
        below = name[len(prefix) :]
        if not delimiter or delimiter not in below or not name.startswith(prefix):
            return name
        return prefix + below.split(delimiter)[0] + delimiter

    def _row(self, name):
        if name.endswith("/"):
            return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
        changed = datetime.fromtimestamp(self.server.changed[name], UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        size, key = len(self.server.objects[name]), escape(name)
        return f"<Contents><Key>{key}</Key><LastModified>{changed}</LastModified><Size>{size}</Size></Contents>"

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
