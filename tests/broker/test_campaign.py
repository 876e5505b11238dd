"""A campaign whose processes are killed again and again: it goes on, and nobody has two letters."""

import os
import time
from collections import Counter

import pytest

from tests.broker.test_kills import THREADS, until_back
from tests.journeys import tables
from tests.rig import until

FULL = os.environ.get("WAYBILL_FULL") == "1"
READERS, KILLS = (5000, 5) if FULL else (500, 2)
GOES_ON = 5.0  # seconds after the restart until the next letter is sent
WRITE = """
from django.utils import timezone
from notifications.campaigns import campaigns
from notifications.models import Campaign, Subscriber
now = timezone.now()
readers = (Subscriber(email=f"reader-{{i}}@example.com", state="confirmed", confirmed_at=now) for i in range({count}))
Subscriber.objects.bulk_create(readers, batch_size=500)
made = Campaign.objects.create(name="news", subject="News, {{name}}", text="Dear {{name}}", per_minute=6000)
campaigns.start(made)
"""
ABOUT = "subject_ref = (SELECT 'campaign:' || id FROM notifications_campaign WHERE name = 'news')"


@pytest.mark.crash
def test_killed_again_and_again_every_reader_gets_one_letter(shop, post, books_balance):
    ran = shop.manage("shell", "-c", WRITE.format(count=READERS))
    assert ran.returncode == 0, ran.stderr

    def one(sql):
        [(value,)] = tables.rows(shop, sql)
        return value

    def sent():
        return one(f"SELECT count(*) FROM notifications_letter WHERE {ABOUT} AND state = 'sent'")

    waits = []
    for n in range(KILLS):
        mark = READERS * (n + 1) // (KILLS + 2)
        until(lambda mark=mark: sent() >= mark, within=READERS / 5, what=f"{mark} letters to be sent")
        name = ("worker", "relay")[n % 2]
        until_back(shop, name, shop.kill(name))
        before, began = sent(), time.monotonic()
        until(lambda before=before: sent() > before, within=GOES_ON, what="the next letter")
        waits.append(time.monotonic() - began)

    until(lambda: sent() == READERS, within=READERS / 5, what=f"{READERS} letters, {sent()} are sent")
    until(
        lambda: one("SELECT state FROM notifications_campaign WHERE name = 'news'") == "done", within=30, what="its end"
    )
    assert one("SELECT count(*) FROM notifications_recipient WHERE letter_id IS NOT NULL") == READERS
    mine = {row[0] for row in tables.rows(shop, f"SELECT message_id FROM notifications_letter WHERE {ABOUT}")}
    copies = Counter(message_id for message_id in post.receipts() if message_id in mine)
    again = sum(copies.values()) - len(copies)
    slowest = max(waits)
    print(f"{READERS} readers, {KILLS} kills: the next letter {slowest:.1f} s after a restart, {again} raw duplicates")
    assert len(mine) == len(copies) == READERS
    assert again <= KILLS * THREADS
    books_balance()
