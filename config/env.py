"""Settings from the environment, a `.env` file, or a file named by `NAME_FILE`."""

import contextlib
import json
import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

BASE_DIR: Final = Path(__file__).resolve().parent.parent


class _Given(FileAwareMapping):
    def __getitem__(self, key: str) -> str:
        # A file ends with a line's end, which is no part of a secret.
        return str(super().__getitem__(key)).rstrip("\r\n")


class _Environment(environ.FileAwareEnv):
    ENVIRON = _Given()


env = _Environment()
environ.Env.read_env(BASE_DIR / ".env")


def data_dir() -> Path:
    """The folder of everything this shop writes at run time; made if missing."""
    folder = Path(env.str("WAYBILL_DATA", str(BASE_DIR / "var"))).expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def running_shop(folder: Path) -> dict[str, Any]:
    """What `manage.py up` says of the shop now running on this folder; nothing where none runs, or it was killed."""
    try:
        facts: dict[str, Any] = json.loads((folder / "up.json").read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    return facts if _runs(facts["pid"]) else {}


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # somebody else's process, and so alive
    except ProcessLookupError:
        return False
    return True


def local_secret(folder: Path, name: str) -> str:
    """A secret of a shop that nobody has configured: made once, kept under `name` in its data folder."""
    path = folder / name
    if not path.exists():
        draft = path.with_name(f"{name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)  # the first of several processes wins, whole
        draft.unlink()
    return path.read_text()


def webhook_secrets(folder: Path) -> list[str]:
    """What the gateway's messages are signed with: several, with commas between, while one replaces another."""
    local = not env.str("SECRET_KEY", "")
    return list(env.list("STRIPE_WEBHOOK_SECRET", default=[local_secret(folder, "webhook_secret")] if local else []))


def insist_on(*names: str) -> None:
    """These are settings that production cannot do without.

    Raises ImproperlyConfigured, one sentence that names those which are missing or empty.
    """
    missing = [name for name in names if not env.str(name, "")]
    if missing:
        are, them = ("is", "it") if len(missing) == 1 else ("are", "each")
        raise ImproperlyConfigured(
            f"{', '.join(missing)} {are} not set: give {them} in the environment, in .env, or as a file named by"
            f" {missing[0]}_FILE."
        )


def anymail_settings() -> dict[str, str]:
    """What the environment says as ANYMAIL_NAME. Without a secret, anybody could report bounces."""
    insist_on("ANYMAIL_WEBHOOK_SECRET")
    names = {name.removesuffix("_FILE") for name in os.environ if name.startswith("ANYMAIL_")}
    return {name.removeprefix("ANYMAIL_"): env.str(name) for name in names}


def sentry_dsn() -> str:
    """Where reports of failures go; empty for nowhere.

    Raises ImproperlyConfigured when it cannot be read, or what it needs is not installed.
    """
    dsn: str = env.str("SENTRY_DSN", "")
    parts = urlsplit(dsn)
    if dsn and not (parts.scheme in ("http", "https") and parts.username and parts.hostname and parts.path.strip("/")):
        raise ImproperlyConfigured("SENTRY_DSN must look like https://KEY@HOST/PROJECT.")
    if dsn and find_spec("sentry_sdk") is None:
        raise ImproperlyConfigured("SENTRY_DSN is set, which needs sentry-sdk: install it first.")
    return dsn


def media_store(url: str, *, folder: Path) -> dict[str, Any]:
    """The storage that STORAGE_URL names, as an entry of STORAGES; the folder when it is empty.

    Raises ImproperlyConfigured when it cannot be read, or what it needs is not installed.
    """
    if not url:
        return {"BACKEND": "uploads.storage.LocalStore", "OPTIONS": {"location": str(folder)}}
    parts = urlsplit(url)
    bucket = parts.path.strip("/")
    if parts.scheme not in ("s3", "s3+http") or not bucket or not parts.username or not parts.password:
        raise ImproperlyConfigured("STORAGE_URL must look like s3://KEY:SECRET@HOST/BUCKET?region=REGION.")
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ImproperlyConfigured("STORAGE_URL names a bucket, which needs django-storages[s3]: install it first.")
    host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    options = {
        "access_key": unquote(parts.username),
        "secret_key": unquote(parts.password),
        "bucket_name": bucket,
        "region_name": parse_qs(parts.query).get("region", ["us-east-1"])[0],
        "endpoint_url": f"{'http' if parts.scheme == 's3+http' else 'https'}://{host}" if host else None,
        "addressing_style": "path",
        "signature_version": "s3v4",
        "default_acl": None,
        "file_overwrite": True,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


def origin(url: str) -> list[str]:
    """The other site that an address names, as content policies name it; nothing for an address of ours."""
    parts = urlsplit(url)
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []
