"""From a bare Python to a Python that has what requirements.txt names. Standard library only.

Outside any environment the checkout gets its own `.venv`, and the command starts again inside it.
Inside an active environment (somebody else's choice) nothing is installed or touched.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

CHECKOUT: Final = Path(__file__).resolve().parent.parent
DEVELOP_LINE: Final = "# develop"
UV: Final = "uv==0.13.9"
# uv brings its own list of authorities; behind a company's proxy only the system's own will do.
UV_ENVIRONMENT: Final = {"UV_SYSTEM_CERTS": "true", "UV_LINK_MODE": "copy", "UV_NO_PROGRESS": "1"}


def enter(argv: Sequence[str]) -> None:
    """Return when this process can import everything that its command needs.

    Outside an environment it does not return: the process becomes the same command inside
    `.venv`, made or completed first when needed. Exits with one sentence when it cannot.
    """
    wanted = wanted_requirements(develop=argv[1:2] == ["test"])
    if in_environment(os.environ):
        _insist_on(wanted)
        return
    environment = CHECKOUT / ".venv"
    try:
        install(environment, wanted)
    except KeyboardInterrupt:
        sys.exit("Stopped. The next start takes the installation up from here.")
    _become(environment, argv)


def in_environment(environ: Mapping[str, str]) -> bool:
    """Whether somebody has chosen where packages live: a virtual or a Conda environment."""
    return sys.prefix != sys.base_prefix or bool(environ.get("VIRTUAL_ENV") or environ.get("CONDA_PREFIX"))


def wanted_requirements(*, develop: bool) -> str:
    """The pins to install: those that run the shop, and with `develop` those that test it."""
    text = (CHECKOUT / "requirements.txt").read_text()
    return text if develop else text.partition(DEVELOP_LINE)[0]


def missing_packages(wanted: str, path: Sequence[str]) -> list[str]:
    """The wanted packages that no folder on `path` holds, whatever their version."""
    present = {
        _plain_name(found.name.partition("-")[0])
        for folder in map(Path, path)
        if folder.is_dir()
        for found in folder.glob("*.dist-info")
    }
    names = [line.partition("==")[0].strip() for line in wanted.splitlines() if "==" in line]
    return [name for name in names if _plain_name(name) not in present]


def install(environment: Path, wanted: str) -> None:
    """Make `environment` hold `wanted`. Does no work when a stamp says that it already does.

    Two first starts at once take turns. The stamp is written last, so an interrupted
    installation is taken up again by the next start.
    """
    if is_complete(environment, wanted):
        return
    with _turn(environment.parent):
        if is_complete(environment, wanted):
            return
        _stamp(environment).unlink(missing_ok=True)
        if not _has_pip(environment):
            _make(environment)
        _fill(environment, wanted)
        _stamp(environment).write_text("".join(f"{digest(text)}\n" for text in _parts(wanted)))


def is_complete(environment: Path, wanted: str) -> bool:
    try:
        stamps = _stamp(environment).read_text().split()
    except OSError:
        return False
    return digest(wanted) in stamps and _python(environment).exists()


def digest(wanted: str) -> str:
    return hashlib.sha256(wanted.encode()).hexdigest()


def _parts(wanted: str) -> set[str]:
    # Whoever has everything also has the part that runs the shop.
    return {wanted, wanted.partition(DEVELOP_LINE)[0]}


def _insist_on(wanted: str) -> None:
    missing = missing_packages(wanted, sys.path)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        where = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX") or sys.prefix
        sys.exit(
            f"The active environment {where} lacks {missing[0]}{more}: run `python -m pip install -r requirements.txt`"
            " in it, or leave it and start again to let Waybill make its own."
        )


def _become(environment: Path, argv: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    python = str(_python(environment))
    # In an environment of ours the compiled modules are kept: half a dozen processes read them at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.execv(python, [python, str(CHECKOUT / "manage.py"), *argv[1:]])  # noqa: S606


def _make(environment: Path) -> None:
    _say(f"Making {environment.name} ...")
    # What may lie there cannot run: its Python is gone, or its making was interrupted.
    shutil.rmtree(environment, ignore_errors=True)
    try:
        venv.create(environment, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(environment, ignore_errors=True)
        sys.exit(
            "This Python cannot make a virtual environment with pip: install its venv package"
            " (Debian, Ubuntu: `apt install python3-venv`) and start again."
        )


def _fill(environment: Path, wanted: str) -> None:
    _say(f"Installing {len([line for line in wanted.splitlines() if '==' in line])} packages ...")
    listed = environment / "waybill-requirements.txt"
    listed.write_text(wanted)
    if _with_uv(environment, listed):
        return
    _say("uv did not manage; trying pip ...")
    if not _runs([*_pip(environment), "install", "--quiet", "-r", str(listed)]):
        sys.exit("pip could not install requirements.txt; its message is above. Start again to take it up from here.")


def _with_uv(environment: Path, listed: Path) -> bool:
    uv = _python(environment).with_name("uv")
    if not uv.exists() and not _runs([*_pip(environment), "install", "--quiet", UV]):
        return False
    command = [str(uv), "pip", "install", "--quiet", "--python", str(_python(environment)), "-r", str(listed)]
    return _runs(command, UV_ENVIRONMENT)


def _has_pip(environment: Path) -> bool:
    bring_pip = [str(_python(environment)), "-m", "ensurepip"]
    return _runs([*_pip(environment), "--version"], quiet=True) or _runs(bring_pip, quiet=True)


def _pip(environment: Path) -> list[str]:
    return [str(_python(environment)), "-m", "pip", "--disable-pip-version-check"]


def _runs(command: Sequence[str], extra: Mapping[str, str] | None = None, *, quiet: bool = False) -> bool:
    """Whether the command exits with 0. What it prints goes to stderr: stdout belongs to the command asked for."""
    out = subprocess.DEVNULL if quiet else sys.stderr
    try:
        done = subprocess.run(command, env={**os.environ, **(extra or {})}, stdout=out, stderr=out, check=False)  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another start is installing; waiting for it ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _stamp(environment: Path) -> Path:
    return environment / "waybill-installed"


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
