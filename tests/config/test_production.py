"""A shop in production: it starts when it has what it needs, and says in one sentence what it lacks."""

import os
import secrets
import shutil
import subprocess
import sys

import pytest

from config import ports
from tests.rig import CHECKOUT, NOT_INHERITED

NEEDED = {
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "shop.example",
    "EMAIL_URL": "smtp+tls://user:password@mail.shop.example:587",
    "DEFAULT_FROM_EMAIL": "Shop <hello@shop.example>",
    "SHIPPING_DEPARTMENT_EMAIL": "parcels@shop.example",
    "OPERATOR_EMAIL": "ada@shop.example",
    "STRIPE_SECRET_KEY": "sk_test_nobody",
    "STRIPE_WEBHOOK_SECRET": "whsec_nobody_nobody_nobody",
}
ASKED_FOR = sorted(NEEDED.keys() - {"SECRET_KEY"})  # without that one it is a local shop


def environment(folder, **changed):
    """What the machine says, and what a shop in production needs, except for what is `changed`; None: not set."""
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    chosen = {"DATABASE_URL": f"sqlite:///{folder}/shop.sqlite3", "WAYBILL_DATA": str(folder)}
    wanted = inherited | NEEDED | chosen | changed
    return {name: value for name, value in wanted.items() if value is not None}


def run(*argv, **env):
    return subprocess.run(
        [sys.executable, *argv], cwd=CHECKOUT, env=environment(**env), capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("name", ASKED_FOR)
@pytest.mark.parametrize("empty", [None, ""], ids=["missing", "empty"])
def test_a_shop_without_one_of_them_does_not_start_and_names_it(tmp_path, name, empty):
    ran = run("manage.py", "stock", "show", "MUG-RED", folder=tmp_path, **{name: empty})

    [sentence] = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert sentence == (
        f"Waybill does not start: {name} is not set: give it in the environment, in .env, or as a file named by"
        f" {name}_FILE."
    )


def test_all_that_is_missing_is_named_at_once(tmp_path):
    ran = run("manage.py", "check", folder=tmp_path, OPERATOR_EMAIL=None, EMAIL_URL=None)

    [sentence] = ran.stderr.splitlines()
    assert "EMAIL_URL, OPERATOR_EMAIL are not set" in sentence


def test_a_file_that_is_not_there_is_one_sentence_too(tmp_path):
    ran = run("manage.py", "check", folder=tmp_path, OPERATOR_EMAIL_FILE=str(tmp_path / "nowhere"))

    [sentence] = ran.stderr.splitlines()
    assert (ran.returncode, "nowhere" in sentence) == (1, True)


def test_the_web_process_says_it_in_one_sentence(tmp_path):
    ran = run("-m", "config.web", "config.wsgi", folder=tmp_path, OPERATOR_EMAIL=None)

    [sentence] = ran.stderr.splitlines()
    assert (ran.returncode, "OPERATOR_EMAIL is not set" in sentence) == (1, True)


def test_gunicorn_says_it_and_stops_instead_of_starting_workers_for_ever(tmp_path):
    [port] = ports.free_ports(1)
    options = ("--bind", f"{ports.HOST}:{port}", "--no-control-socket")

    ran = run("-m", "gunicorn", "config.wsgi", *options, folder=tmp_path, OPERATOR_EMAIL=None)

    assert ran.returncode == 3
    assert "Waybill does not start: OPERATOR_EMAIL is not set" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_with_what_is_documented_the_check_before_a_deployment_has_nothing_to_say(tmp_path):
    ran = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", folder=tmp_path)

    assert (ran.returncode, ran.stdout) == (0, "System check identified no issues (0 silenced).\n"), ran.stderr


def test_each_may_stand_in_a_file_as_editors_leave_files(tmp_path):
    in_files = dict.fromkeys(NEEDED)
    for name, value in NEEDED.items():
        (tmp_path / name).write_text(f"{value}\n")
        in_files[f"{name}_FILE"] = str(tmp_path / name)
    told = "from django.conf import settings as s; print([s.SECRET_KEY, s.ALLOWED_HOSTS, s.STRIPE_WEBHOOK_SECRETS])"

    ran = run("manage.py", "shell", "--no-imports", "-c", told, folder=tmp_path, **in_files)

    assert ran.stdout.strip() == repr([NEEDED["SECRET_KEY"], ["shop.example"], [NEEDED["STRIPE_WEBHOOK_SECRET"]]])


def test_a_file_beside_the_code_is_read_and_the_environment_comes_first(tmp_path):
    shutil.copytree(CHECKOUT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".env").write_text("OPERATOR_EMAIL=from-the-file@shop.example\nALLOWED_HOSTS=file.example\n")
    told = "from config.env import env; print(env.str('OPERATOR_EMAIL'), env.str('ALLOWED_HOSTS'))"
    env = environment(tmp_path, OPERATOR_EMAIL=None)

    ran = subprocess.run([sys.executable, "-c", told], cwd=tmp_path, env=env, capture_output=True, text=True)

    assert ran.stdout == "from-the-file@shop.example shop.example\n", ran.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", None, "config.W001) DATABASE_URL is not set"),
        ("EMAIL_URL", "consolemail://", "config.W002) EMAIL_URL sends no letter to anybody (console)"),
    ],
)
def test_what_would_start_but_not_as_one_thinks_is_a_warning(tmp_path, name, value, words):
    ran = run("manage.py", "check", "--deploy", folder=tmp_path, **{name: value})

    assert (ran.returncode, words in ran.stderr) == (0, True), ran.stderr
