"""The files that a shop in production starts from say nothing that does not exist."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys

import environ
import pytest

from config import settings
from tests.config.test_production import NEEDED, environment
from tests.rig import CHECKOUT

UNITS = sorted((CHECKOUT / "deploy").glob("*.service"))
EXAMPLE = CHECKOUT / ".env.example"


def named(text):
    """The settings that a text in the shape of .env names, those behind a # too."""
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE))


def test_every_setting_of_the_example_is_one_that_the_shop_reads():
    read = "".join((CHECKOUT / "config" / name).read_text() for name in ("settings.py", "env.py"))

    assert [name for name in sorted(named(EXAMPLE.read_text())) if f'"{name}"' not in read] == []


def test_the_example_names_all_that_production_needs():
    assert named(EXAMPLE.read_text()) >= {"SECRET_KEY", *settings.NEEDED_IN_PRODUCTION}


def test_with_the_example_filled_in_the_shop_starts(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        for name in named(EXAMPLE.read_text()):
            patch.delenv(name, raising=False)
        environ.Env.read_env(EXAMPLE)
        example = {name: os.environ.pop(name) for name in named(EXAMPLE.read_text()) if name in os.environ}
    filled = {name: value or NEEDED.get(name, "") for name, value in example.items()}
    env = environment(tmp_path, **filled | {"WAYBILL_DATA": str(tmp_path), "LOG_LEVEL": "ERROR"})

    ran = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=120
    )

    assert (ran.returncode, ran.stdout) == (0, "System check identified no issues (0 silenced).\n"), ran.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_there_is(unit):
    read = configparser.RawConfigParser(strict=False, interpolation=None)
    read.optionxform = str
    read.read(unit)
    python, *command = shlex.split(read["Service"]["ExecStart"])

    assert python == "/srv/waybill/.venv/bin/python"
    if command[0] == "manage.py":
        assert (CHECKOUT / "notifications" / "management" / "commands" / f"{command[1]}.py").exists()
        assert len(command) == 2
    else:
        checked = subprocess.run(
            [sys.executable, *command, "--check-config"],
            cwd=CHECKOUT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert checked.returncode == 0, checked.stderr


def test_systemd_understands_the_units():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on PATH")
    ran = subprocess.run(["systemd-analyze", "verify", *map(str, UNITS)], capture_output=True, text=True)

    # Their Python and their user are not on this machine.
    said = [line for line in ran.stderr.splitlines() if "deploy/" in line and "not executable" not in line]
    assert said == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_processes_share_the_folder_of_the_relays_bell(unit):
    """In a /tmp of its own each would ring where nobody listens, and every event wait for the relay's next look."""
    settings = unit.read_text().splitlines()

    assert not [line for line in settings if line.startswith("PrivateTmp=")]
    assert "ReadWritePaths=/srv/waybill/var /tmp /var/tmp" in settings
