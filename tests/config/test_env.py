import json
import os
import subprocess
import sys

from config.env import running_shop


def test_a_running_shop_tells_where_it_is(tmp_path):
    (tmp_path / "up.json").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:1"}))

    assert running_shop(tmp_path)["url"] == "http://127.0.0.1:1"


def test_what_a_killed_shop_left_is_not_believed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "up.json").write_text(json.dumps({"pid": ended.pid, "url": "http://127.0.0.1:1"}))

    assert running_shop(tmp_path) == {}
