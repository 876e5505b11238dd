"""The bank's own record of what moved: the independent witness."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

UUID_LENGTH = 36


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What the bank took and gave back, by our reference, and each refund by our id of it. Minor units."""

    charged: dict[str, list[tuple[int, str]]]
    refunded: dict[str, int]
    refunds: dict[str, list[tuple[str, int]]]  # by our id, with which its keys begin: the bank's id and the amount

    def kept(self, reference: str) -> int:
        return sum(amount for amount, _ in self.charged.get(reference, [])) - self.refunded.get(reference, 0)


def ledger_file() -> Path:
    return Path(settings.WAYBILL_DATA) / "bank.jsonl"


def read_ledger() -> Ledger:
    """The bank's ledger file; an empty one when this shop has no local bank."""
    charged: dict[str, list[tuple[int, str]]] = defaultdict(list)
    refunded: dict[str, int] = defaultdict(int)
    refunds: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for line in _ledger_lines():
        if line["kind"] == "charge" and line["status"] == "succeeded":
            charged[line["reference"]].append((line["amount"], line["currency"].upper()))
        elif line["kind"] == "refund" and line["status"] == "succeeded":
            refunded[line["reference"]] += line["amount"]
            refunds[line["key"][:UUID_LENGTH]].append((line["id"], line["amount"]))
    return Ledger(charged=charged, refunded=refunded, refunds=refunds)


def _ledger_lines() -> Iterator[dict[str, Any]]:
    if not ledger_file().exists():
        return
    with ledger_file().open() as lines:
        for line in lines:
            if line.endswith("\n"):  # a last line without one is still being written
                yield json.loads(line)
