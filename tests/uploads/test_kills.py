"""Whoever decodes is killed with SIGKILL meanwhile: every upload ends, and the sweep finds what was left lying."""

import json
import os
import random
import secrets
import time
import urllib.request

import pytest

from tests.journeys import tables
from tests.rig import Shop, until
from tests.uploads.conftest import film, picture

FULL, CI = os.environ.get("WAYBILL_FULL") == "1", os.environ.get("CI") == "true"
KILLS = 50 if FULL else 12 if CI else 4
EACH = 3  # pictures, and a film, that are worked on when it is killed
ENDED = {"ready", "rejected"}
LONGEST = 90.0  # seconds until all have ended, on a machine that does much else
SWEEP = "from uploads import sweeping; print(sweeping.sweep(older_than=-1))"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with Shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


class Program:
    """Hands files in, as a program does."""

    def __init__(self, shop):
        self.shop, self.ids = shop, []

    def upload(self, name, content):
        border = secrets.token_hex(8)
        head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        headers = {
            "Authorization": f"Bearer {self.shop.facts['api_keys']['staff']}",
            "Content-Type": f"multipart/form-data; boundary={border}",
        }
        body = head.encode() + content + f"\r\n--{border}--\r\n".encode()
        request = urllib.request.Request(f"{self.shop.url}/api/v1/uploads/", body, headers)
        with urllib.request.urlopen(request, timeout=40) as answer:
            assert answer.status == 202
            self.ids.append(json.load(answer)["id"])

    def states(self):
        return [self.shop.get(f"/api/v1/uploads/{uid}/").json() for uid in self.ids]

    def all_ended(self):
        return all(one["status"] in ENDED for one in self.states())


@pytest.mark.crash
def test_a_killed_worker_leaves_no_upload_behind_and_no_file_after_the_sweep(shop, tmp_path):
    dice, ready = random.Random(5), []
    for kill in range(KILLS):
        program = Program(shop)
        program.upload("film.mp4", film(tmp_path, size="640x480", seconds=2 + kill / 100))
        for n in range(EACH):
            program.upload("cat.jpg", picture(size=(1600 + kill, 1200 + n), colour=(kill, n, 0)))
        who = until(lambda: who_works(shop), within=LONGEST, what="the work to begin")
        time.sleep(dice.uniform(0, 0.5))
        shop.until_restarted(who, shop.kill(who))
        until(program.all_ended, within=LONGEST, what=f"all to end after kill {kill}: {program.states()}")
        ready += program.states()

    assert {one["status"] for one in ready} == {"ready"}
    assert {one["progress"] for one in ready} == {100}
    [(crashed,)] = tables.rows(shop, "SELECT count(*) FROM notifications_attempt WHERE outcome = %s", "crashed")
    assert crashed >= KILLS / 4  # many kills hit something
    shop.manage("shell", "-c", SWEEP)
    assert files(shop) == rows(ready)
    assert list((shop.folder / "work").iterdir()) == []
    assert int(shop.manage("shell", "-c", SWEEP).stdout.split()[-1]) == 0


def who_works(shop):
    """Who decodes now: the worker, or the relay while no worker is alive. By its name in up.json."""
    sql = (
        "SELECT w.kind FROM notifications_delivery d JOIN notifications_worker w ON w.id = d.worker_id"
        " WHERE d.state = %s AND d.queue IN (%s, %s)"
    )
    return next((kind for (kind,) in tables.rows(shop, sql, "running", "images", "video")), None)


def files(shop):
    media = shop.folder / "media"
    return sorted(str(path.relative_to(media)) for path in media.rglob("*") if path.is_file())


def rows(uploads):
    """What there must be: the files themselves, and the renditions by their addresses."""
    shown = [copy["url"].split("/", 6)[6] for one in uploads for copy in one["renditions"]]
    return sorted(shown + [f"originals/{one['id']}" for one in uploads])
