"""The mailbox of a local shop: an SMTP server that keeps every letter as a file, and the reading of them.

The server runs as `python -m notifications.mail.mailbox --port N --folder DIR`. Nothing here needs
Django, so that it starts at once and runs on when the shop's own code is broken.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

SIZE_LIMIT: Final = 25_000_000  # bytes, as most mail services have it
RECEIPTS: Final = "receipts.jsonl"
# What the standard library's mail parser raises for what is no proper mail.
UNREADABLE: Final = (AttributeError, LookupError, TypeError, ValueError)
NAME: Final = re.compile(r"\d{8}T\d{12}-[0-9a-f]{16}")


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One kept letter as a list shows it. `at` is when the server received it."""

    name: str
    at: datetime
    to: str
    sender: str
    subject: str
    message_id: str


class Mailbox:
    """Keeps letters in a folder: one `.eml` file for each Message-ID, one line in receipts.jsonl for each receipt."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._kept = {path.stem.rpartition("-")[2]: path for path in folder.glob("*.eml")}

    async def handle_DATA(self, _server: "SMTP", _session: "Session", envelope: "Envelope") -> str:
        """Keep the letter, safely on disk, before the sender hears that it was accepted."""
        assert isinstance(envelope.content, bytes)
        stored = self.keep(envelope.content, sender=envelope.mail_from or "", to=envelope.rcpt_tos)
        return "250 Kept" if stored else "250 Kept before"

    def keep(self, content: bytes, *, sender: str, to: list[str]) -> bool:
        """Whether the letter was new. A second receipt of a Message-ID is noted and not kept, as mail stores do."""
        message_id = _message_id(content)
        digest = hashlib.sha256((message_id or secrets.token_hex()).encode()).hexdigest()[:16]
        new = digest not in self._kept or not self._kept[digest].exists()
        now = datetime.now(UTC)
        if new:
            path = self._folder / f"{now:%Y%m%dT%H%M%S%f}-{digest}.eml"
            _write_safely(path, _with_envelope(content, sender=sender, to=to))
            self._kept[digest] = path
        self._note({"at": now.isoformat(), "message_id": message_id, "to": to, "stored": new})
        return new

    def _note(self, receipt: dict[str, Any]) -> None:
        with (self._folder / RECEIPTS).open("a") as lines:
            lines.write(json.dumps(receipt) + "\n")
            lines.flush()
            os.fsync(lines.fileno())


def mails(folder: Path, *, to: str = "") -> Iterator[Mail]:
    """The kept letters, newest first; with `to` those with that text in a recipient's address."""
    wanted = to.strip().lower()
    for path in sorted(folder.glob("*.eml"), reverse=True):
        mail = summary(path)
        if wanted in mail.to.lower():
            yield mail


def find(folder: Path, name: str) -> Path | None:
    """The file of a letter by its name, or nothing: only names that the server itself gives are looked for."""
    path = folder / f"{name}.eml"
    return path if NAME.fullmatch(name) and path.is_file() else None


def forget(folder: Path, *, message_ids: set[str], addresses: set[str], until: datetime) -> None:
    """Remove letters with these Message-IDs, and what these addresses had received until then; and their receipts."""
    for path in folder.glob("*.eml"):
        mail = summary(path)
        theirs = mail.at <= until and any(address in mail.to.lower() for address in addresses)
        if theirs or mail.message_id in message_ids:
            path.unlink(missing_ok=True)
    receipts = folder / RECEIPTS
    if receipts.exists():
        lines = receipts.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not _tells_of(json.loads(line), message_ids, addresses, until)]
        _write_safely(receipts, "".join(kept).encode())


def _tells_of(receipt: dict[str, Any], message_ids: set[str], addresses: set[str], until: datetime) -> bool:
    theirs = addresses & {to.lower() for to in receipt["to"]} and datetime.fromisoformat(receipt["at"]) <= until
    return bool(theirs) or receipt["message_id"] in message_ids


def read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=policy.default)


def part(message: EmailMessage, kind: str) -> str:
    """The letter's "plain" or "html" text, empty when it has none; as far as it can be read."""
    body = message.get_body((kind,))
    if body is None:
        return ""
    try:
        return str(body.get_content())
    except UNREADABLE:
        raw = body.get_payload(decode=True)
        return raw.decode(errors="replace") if isinstance(raw, bytes) else ""


def headers(message: EmailMessage) -> list[tuple[str, str]]:
    """All headers in their order; one that cannot be read as it came."""
    return [(name, _in_words(message, name, raw)) for name, raw in message.raw_items()]


def _in_words(message: EmailMessage, name: str, raw: Any) -> str:
    try:
        return str(message.policy.header_fetch_parse(name, raw))
    except UNREADABLE:
        return str(raw)


def received_at(name: str) -> datetime:
    return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def summary(path: Path) -> Mail:
    """One kept letter as a list shows it."""
    with path.open("rb") as lines:
        message = BytesHeaderParser(policy=policy.default).parse(lines)
    said = {name.lower(): words for name, words in reversed(headers(message))}  # of several the first
    return Mail(
        name=path.stem,
        at=received_at(path.stem),
        to=said.get("x-rcptto", said.get("to", "")),
        sender=said.get("from", ""),
        subject=said.get("subject", ""),
        message_id=said.get("message-id", ""),
    )


def _message_id(content: bytes) -> str:
    headers = BytesHeaderParser(policy=policy.compat32).parsebytes(content)
    return str(headers.get("Message-ID", "")).strip()


def _with_envelope(content: bytes, *, sender: str, to: list[str]) -> bytes:
    envelope = f"X-MailFrom: {sender}\r\nX-RcptTo: {', '.join(to)}\r\n"
    return envelope.encode() + content


def _write_safely(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    draft.rename(path)


async def serve(*, port: int, folder: Path) -> None:
    """Receive mail on loopback until SIGTERM."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    mailbox = Mailbox(folder)
    server = await loop.create_server(lambda: _protocol(mailbox, loop), "127.0.0.1", port)
    await stopped.wait()
    server.close()


def _protocol(mailbox: Mailbox, loop: asyncio.AbstractEventLoop) -> "SMTP":
    from aiosmtpd.smtp import SMTP  # for the server alone: the web process only reads letters

    # With a host name of its own the server does not ask the resolver, which may take seconds to know nothing.
    return SMTP(
        mailbox, data_size_limit=SIZE_LIMIT, enable_SMTPUTF8=True, hostname="mailbox.waybill.example", loop=loop
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Receive mail on loopback and keep it as files.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    asyncio.run(serve(port=given.port, folder=given.folder))


if __name__ == "__main__":
    main()
