"""What is random in a link opens something: who reads a log, or another's letter, must not have it.

Knows no model: the log is set up before there are any.
"""

import logging
import re
from typing import Final

_SIGN: Final = r"[\w:.~%-]"
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # names a row, and opens nothing by itself
# Thirty signs or more without a word's break, in the path or the query. Whatever follows: links stand in brackets, too.
KEY: Final = re.compile(rf"(?<=[/=])(?!{_UUID}(?!{_SIGN})){_SIGN}{{30,}}")
HIDDEN: Final = "…"


def without_keys(text: str) -> str:
    """The same, with what is secret in its links taken out."""
    return KEY.sub(HIDDEN, text)


class WithoutKeys(logging.Filter):
    """For loggers of others, which write down whole addresses. On the logger, so that no handler sees more."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_keys(record.getMessage()), ()
        return True
