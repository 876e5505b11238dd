"""What a mail server means when it says no: never, not now, or nothing at all (RFC 5321, section 4.2.1)."""

import re
import smtplib
from typing import Final

from notifications.pipeline.retries import Permanent, RetryLater

SERVER_AWAY_WAIT: Final = 5.0  # seconds; an outage of the mail server burns no attempt
_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
NO_SUCH_MAILBOX: Final = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")
CLOSING: Final = 421  # "service not available, closing the connection": about the server, not about the letter


def verdict(error: OSError) -> Exception:
    """What the pipeline is to make of a posting that failed.

    Permanent when the server will never take this letter (5yz). RetryLater when the server is away or closing: every
    letter would have met the same. The error itself, to be tried again with growing pauses, for a refusal of the
    moment (4yz: greylisted, a full mailbox) and when the connection broke in the middle.
    """
    code, words = _answer(error)
    if code == CLOSING:
        return RetryLater(SERVER_AWAY_WAIT, f"the mail server is closing: {words}", outage=True)
    if 500 <= code < 600:
        return Permanent(f"the mail server refuses this letter: {code} {words}")
    return error


def refuses_address(error: OSError) -> bool:
    """Whether the server says that there is no such mailbox, and not that it dislikes us, the letter or this moment.

    Most servers refuse everything at RCPT TO, also a sender they have on a list: the enhanced code (RFC 3463) tells.
    """
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    code, words = _answer(error)
    enhanced = _ENHANCED.match(words)
    return enhanced.group() in NO_SUCH_MAILBOX if enhanced else code in (550, 551, 553)


def code_of(error: OSError) -> str:
    """The server's code, as "550"."""
    return str(_answer(error)[0])


def _answer(error: OSError) -> tuple[int, str]:
    """The server's code and words; 0 when it did not come to an answer."""
    code: int
    words: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):  # the codes hide inside, one for each recipient
        code, words = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, words = error.smtp_code, error.smtp_error
    else:
        return 0, ""
    return code, words.decode(errors="replace") if isinstance(words, bytes) else str(words)
