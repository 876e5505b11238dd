import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import bootstrap

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """An environment whose making and filling only leaves notes, in the order in which they happen."""
    notes = tmp_path / "notes"
    notes.write_text("")

    def note(word):
        with notes.open("a") as lines:
            lines.write(word + "\n")

    def make(environment):
        note("make")
        python = environment / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()

    monkeypatch.setattr(bootstrap, "_has_pip", lambda environment: (environment / "bin" / "python").exists())
    monkeypatch.setattr(bootstrap, "_make", make)
    monkeypatch.setattr(bootstrap, "_fill", lambda environment, wanted: note("fill"))
    return lambda: notes.read_text().split()


def test_only_the_part_that_runs_the_shop_is_installed_to_run_it():
    run, everything = (bootstrap.wanted_requirements(develop=develop) for develop in (False, True))

    assert "django==" in run and "pytest==" not in run
    assert everything.startswith(run) and "pytest==" in everything


def test_a_second_start_does_no_work(fake, tmp_path):
    bootstrap.install(tmp_path / ".venv", "a==1\n")
    bootstrap.install(tmp_path / ".venv", "a==1\n")

    assert fake() == ["make", "fill"]


def test_changed_requirements_are_installed_into_what_is_there(fake, tmp_path):
    bootstrap.install(tmp_path / ".venv", "a==1\n")
    bootstrap.install(tmp_path / ".venv", "a==2\n")

    assert fake() == ["make", "fill", "fill"]


def test_what_tests_need_includes_what_the_shop_needs(fake, tmp_path):
    bootstrap.install(tmp_path / ".venv", "a==1\n# develop\nb==1\n")
    bootstrap.install(tmp_path / ".venv", "a==1\n")

    assert fake() == ["make", "fill"]


def test_an_interrupted_installation_is_taken_up_again(fake, tmp_path, monkeypatch):
    def interrupted(environment, wanted):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(bootstrap, "_fill", interrupted)
        bootstrap.install(tmp_path / ".venv", "a==1\n")
    bootstrap.install(tmp_path / ".venv", "a==1\n")

    assert fake() == ["make", "fill"]


def test_first_starts_at_once_take_turns_and_install_once(fake, tmp_path):
    together = multiprocessing.get_context("fork")
    starts = [together.Process(target=bootstrap.install, args=(tmp_path / ".venv", "a==1\n")) for _ in range(5)]

    for start in starts:
        start.start()
    for start in starts:
        start.join(20)

    assert [start.exitcode for start in starts] == [0] * 5
    assert fake() == ["make", "fill"]


def test_pip_installs_when_uv_cannot(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(
        bootstrap, "_runs", lambda command, extra=None: ran.append(command) or Path(command[0]).name != "uv"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").touch()

    bootstrap._fill(tmp_path, "a==1\n")

    assert [Path(command[0]).name for command in ran] == ["uv", "python"]
    assert ran[1][1:3] == ["-m", "pip"]


def test_a_missing_package_is_named_and_nothing_is_installed(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(bootstrap, "install", lambda *_: pytest.fail("It installed something."))
    monkeypatch.setenv("VIRTUAL_ENV", "/somebody/elses")

    with pytest.raises(SystemExit) as end:
        bootstrap.enter(["manage.py", "up"])

    assert str(end.value).startswith("The active environment /somebody/elses lacks aiosmtpd and ")


def test_package_names_are_compared_without_regard_to_spelling(tmp_path):
    (tmp_path / "Django_Structlog-11.0.0.dist-info").mkdir()

    assert bootstrap.missing_packages("django-structlog==11.0.0\nnot-there==1\n", [str(tmp_path)]) == ["not-there"]


def test_bootstrap_needs_nothing_but_the_standard_library():
    code = "import sys; sys.path.insert(0, '.'); import config.bootstrap; assert 'django' not in sys.modules"

    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=CHECKOUT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_old_python_gets_one_sentence():
    code = "import sys; sys.version_info = (3, 8, 1); import manage; manage.main()"

    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, env=os.environ)

    assert done.returncode == 1
    assert done.stderr == "Waybill needs Python 3.11 or newer; this is Python 3.8.\n"
