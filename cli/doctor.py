"""Checks everything that the service needs, one by one; every failure comes with a remedy."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal
from uuid import uuid4

from msgspec import Struct

from cli.stack.folder import DataFolder, default_folder
from services.process.settings import Settings, SettingsError, load

MIN_PYTHON = (3, 11)
GIGABYTE = 10**9
# Enough for a recording of an hour and the scratch files of a worker.
LEAST_FREE_BYTES = 2 * GIGABYTE
COMFORTABLE_FREE_BYTES = 10 * GIGABYTE
ANSWER_S = 5
# The settings that every process of a fleet needs. If none is set, only the embedded stack is checked.
FLEET = ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT")


class Finding(Struct, frozen=True, kw_only=True):
    """The result of one check."""

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""


class TroubleError(Exception):
    """A failed check: the problem, and its remedy."""

    def __init__(self, detail: str, remedy: str, *, is_fatal: bool = True) -> None:
        self.remedy = remedy
        self.is_fatal = is_fatal
        super().__init__(detail)


def examine(environment: Mapping[str, str], *, data: Path | None = None) -> list[Finding]:
    """Run all checks, even after one fails.

    With `data`, check the stack of that folder, running or not.
    """
    folder = DataFolder(data or default_folder())
    if data is not None:
        environment = _of_stack(folder, environment)
    settings, about_settings = _settings(environment)
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("ffmpeg", _ffmpeg),
        ("av", _av),
        ("tagger", lambda: _tagger(environment)),
        ("database", lambda: _database(environment, settings, folder)),
        ("redis", lambda: _redis(environment)),
        ("storage", lambda: _storage(settings, folder)),
        ("disk", lambda: _disk(settings, folder)),
        ("sandbox", lambda: _sandbox(settings)),
    ]
    return [*(_look(name, check) for name, check in checks), about_settings]


def _of_stack(folder: DataFolder, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings of the stack that runs in a folder, else the environment without those of a fleet."""
    if folder.path.is_dir() and folder.is_locked():
        return folder.running().environment
    return {name: value for name, value in environment.items() if name not in FLEET}


def _look(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, status="ok", detail=check())
    except TroubleError as trouble:
        status: Literal["failed", "warning"] = "failed" if trouble.is_fatal else "warning"
        return Finding(name=name, status=status, detail=str(trouble), remedy=trouble.remedy)


def _settings(environment: Mapping[str, str]) -> tuple[Settings | None, Finding]:
    if not any(environment.get(name) for name in FLEET):
        detail = "none given; `snuggles up` brings its own servers and makes its own secrets"
        return None, Finding(name="settings", status="ok", detail=detail)
    try:
        settings = load(environment)
    except SettingsError as error:
        remedy = "set it in the environment of every process; `snuggles up` fills in what is missing by itself"
        return None, Finding(name="settings", status="failed", detail=str(error), remedy=remedy)
    return settings, Finding(name="settings", status="ok", detail=f"complete, for {settings.app_env}")


def _python() -> str:
    if sys.version_info < MIN_PYTHON:
        raise TroubleError(
            f"Python {platform.python_version()}", "install Python 3.11 or newer and run `make setup` again"
        )
    return f"Python {platform.python_version()} in {sys.prefix}"


def _ffmpeg() -> str:
    remedy = "reinstall it with `pip install --force-reinstall imageio-ffmpeg`"
    try:
        import imageio_ffmpeg

        return f"FFmpeg {imageio_ffmpeg.get_ffmpeg_version()}"
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise TroubleError(f"FFmpeg cannot be run: {error}", remedy) from error


def _av() -> str:
    try:
        import av

        codecs = av.codecs_available
    except ImportError as error:
        raise TroubleError(
            f"PyAV cannot be loaded: {error}", "reinstall it with `pip install --force-reinstall av`"
        ) from error
    missing = sorted({"h264", "aac", "libx264", "vp9", "opus"} - codecs)
    if missing:
        raise TroubleError(
            f"PyAV lacks {', '.join(missing)}", "install the wheel from the package index, not your own build"
        )
    return f"PyAV {av.__version__}"


def _tagger(environment: Mapping[str, str]) -> str:
    from pipeline.errors import MediaError
    from pipeline.listening.tagging.load import load_tagger

    model = environment.get("AUDIO_TAGGER_MODEL")
    try:
        tagger = load_tagger(Path(model).expanduser() if model else None)
    except MediaError as error:
        remedy = "set AUDIO_TAGGER_MODEL to the path of yamnet.tflite, or leave it out for the built-in tagger"
        raise TroubleError(f"{error.cause.meaning}: {error.detail}", remedy) from error
    return f"{tagger.name} ({model})" if model else f"{tagger.name}, which every installation has"


def _database(environment: Mapping[str, str], settings: Settings | None, folder: DataFolder) -> str:
    url = environment.get("DATABASE_URL")
    if not url:
        return _embedded_database(folder)
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=ANSWER_S) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        raise TroubleError(
            f"PostgreSQL does not answer: {error}".strip(), "check DATABASE_URL and that it runs"
        ) from error
    if settings is not None:
        _schema(settings.migration_database_url)
    return f"PostgreSQL {version}"


def _schema(url: str) -> None:
    from db.migrate import MigrationError, pending

    try:
        missing = pending(url)
    except MigrationError as error:
        raise TroubleError(str(error), "see `snuggles migrate`") from error
    if missing:
        raise TroubleError(f"the schema lacks {', '.join(missing)}", "run `snuggles migrate`")


def _embedded_database(folder: DataFolder) -> str:
    from cli.embedded.errors import EmbeddedError
    from cli.embedded.installation import find_binaries, unprivileged_account

    try:
        account = unprivileged_account()
        find_binaries(folder.postgres, account)
    except EmbeddedError as error:
        raise TroubleError(str(error), "or set DATABASE_URL to a server of your own") from error
    except OSError as error:  # a folder of another user, or no folder
        remedy = "choose another place with SNUGGLES_DATA, or set DATABASE_URL to a server of your own"
        raise TroubleError(f"{error.filename or folder.path} cannot be read: {error.strerror}", remedy) from error
    return "the embedded PostgreSQL can run" + (" (as the user nobody, because this one is root)" if account else "")


def _redis(environment: Mapping[str, str]) -> str:
    url = environment.get("REDIS_URL")
    if not url:
        from cli.embedded.errors import EmbeddedError
        from cli.embedded.valkey import find_binary

        try:
            find_binary()
        except EmbeddedError as error:
            raise TroubleError(str(error), "or set REDIS_URL to a server of your own") from error
        return "the embedded Valkey can run"
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S) as client:
            server = client.info("server")
    except (redis.RedisError, ValueError) as error:
        raise TroubleError(f"Redis does not answer: {error}", "check REDIS_URL and that it runs") from error
    return f"Redis {server.get('redis_version', '')}".strip()


def _storage(settings: Settings | None, folder: DataFolder) -> str:
    if settings is None:
        return _embedded_storage(folder)
    from services.process.resources import open_from
    from storage.store import StorageError

    key = f"doctor/{uuid4().hex}"
    try:
        buckets = open_from(settings)
        for store in (buckets.recordings, buckets.clips):
            store.put_bytes(key, b"doctor", content_type="text/plain")
            store.delete([key])
    except (StorageError, OSError) as error:
        remedy = (
            "check S3_ENDPOINT, the keys and that both buckets exist" if settings.s3_endpoint else "check STORAGE_DIR"
        )
        raise TroubleError(f"Objects cannot be stored: {error}", remedy) from error
    return settings.s3_endpoint or f"the folder {settings.storage_dir}"


def _embedded_storage(folder: DataFolder) -> str:
    place = _nearest(folder.path)
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = "make it a folder that can be written to, or choose another place with SNUGGLES_DATA"
        raise TroubleError(f"Nothing can be written to {place}: {error.strerror}", remedy) from error
    return f"a folder, {folder.storage}"


def _sandbox(settings: Settings | None) -> str:
    from workers.children import sandbox

    reads_urls = settings is not None and settings.s3_endpoint is not None
    if gaps := sandbox.missing(reads_urls=reads_urls):
        remedy = "docs/security.md describes other ways to isolate media work, such as a container for workers alone"
        raise TroubleError("; ".join(gaps), remedy, is_fatal=False)
    return "media children have a user of their own, no capabilities, storage as their only server, and filtered calls"


def _nearest(path: Path) -> Path:
    """Return the path, or its closest parent folder that exists.

    This may be an unreadable folder; its use then fails with an explanation.
    """
    place = path.absolute()
    while True:
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            place = place.parent
        except OSError:
            return place
        else:
            return place


def _disk(settings: Settings | None, folder: DataFolder) -> str:
    place = _nearest((settings.scratch_dir if settings else None) or folder.path)
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        remedy = "choose another place with SCRATCH_DIR" if settings else "choose another place with SNUGGLES_DATA"
        raise TroubleError(f"{place} cannot be read: {error.strerror}", remedy) from error
    detail = f"{free / GIGABYTE:.1f} GB free at {place}"
    if free < COMFORTABLE_FREE_BYTES:
        remedy = "make room, or choose another place with --data, STORAGE_DIR or SCRATCH_DIR"
        raise TroubleError(detail, remedy, is_fatal=free < LEAST_FREE_BYTES)
    return detail
