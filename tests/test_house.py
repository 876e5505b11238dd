"""The house itself: types, style, who may import whom, and migrations that say what the models say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
APPS = ("config", "orders", "accounts", "uploads", "notifications")
CODE = ("manage.py", *APPS, "tests")


def passes(*command, **env):
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1", **env}
    )
    if done.returncode:
        pytest.fail(f"{Path(command[0]).name} found:\n{(done.stdout + done.stderr)[-6000:]}", pytrace=False)


def test_types_hold():
    passes(TOOLS / "mypy", "manage.py", *APPS)


def test_style_holds():
    passes(TOOLS / "ruff", "check", "--quiet", *CODE)


def test_code_is_laid_out_as_the_formatter_does():
    passes(TOOLS / "ruff", "format", "--check", "--quiet", "--diff", *CODE)


def test_nobody_imports_whom_they_may_not():
    passes(TOOLS / "lint-imports")


def test_migrations_say_what_the_models_say(tmp_path):
    passes(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run", WAYBILL_DATA=str(tmp_path))


def test_the_project_passes_its_own_system_checks(tmp_path):
    passes(sys.executable, "manage.py", "check", "--fail-level", "WARNING", WAYBILL_DATA=str(tmp_path))
