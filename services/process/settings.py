"""Settings from the environment, checked once at the start of a process."""

import os
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.types import BUILTIN_TAGGER, name_tagger
from services.process import stripe_settings
from services.process.environment import address_problem, is_guessable

MAX_OBJECT_BYTES = 5 * 1024**4  # S3's limit for one object
MIN_SECRET_BYTES = 32  # HS256 wants a key at least as long as its digest (RFC 7518 §3.2)


class SettingsError(Exception):
    """A setting is missing or invalid; the message names it and has a remedy."""


class IceServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A STUN or TURN server, in the browsers' format (RTCIceServer)."""

    urls: Annotated[list[Annotated[str, Meta(pattern="^(stuns?|turns?):")]], Meta(min_length=1)]
    username: str | None = None
    credential: str | None = None


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that a process reads from its environment, with defaults for development."""

    database_url: str
    migration_database_url: str
    """Owner of the tables, for `snuggles migrate`; the same as database_url unless MIGRATION_DATABASE_URL is set."""
    redis_url: str
    broker_url: str
    s3_endpoint: str | None
    s3_public_endpoint: str | None
    """The address under which clients reach S3, if it differs (S3_PUBLIC_ENDPOINT)."""
    s3_region: str
    s3_access_key: str | None
    s3_secret_key: str | None
    s3_bucket_recordings: str
    s3_bucket_clips: str
    storage_dir: Path | None
    """Folder of the local adapter (STORAGE_DIR), used when S3_ENDPOINT is not set."""
    clips_public_base_url: str | None
    jwt_secret: str
    supabase_jwks_url: str | None
    admin_token: str | None
    smtp_url: str | None
    mail_from: str
    sentry_dsn: str | None
    public_url: str
    cors_origins: tuple[str, ...]
    forwarded_allow_ips: tuple[str, ...]
    """Addresses and networks of proxies whose X-Forwarded-For and -Proto are trusted (FORWARDED_ALLOW_IPS)."""
    host: str
    port: int
    app_env: Literal["development", "production"]
    log_level: str
    scratch_dir: Path | None
    worker_threads: int
    recording_max_bytes: int
    """The size limit of recordings (RECORDING_MAX_BYTES)."""
    disk_reserve_bytes: int
    """Space that stays free on local disks (DISK_RESERVE_BYTES)."""
    socket_exempt_addresses: tuple[str, ...]
    """Addresses without a limit on Socket.IO connections (SOCKET_EXEMPT_ADDRESSES); by default this machine."""
    ice_servers: tuple[IceServer, ...]
    """Servers that connect the voices of a room (ICE_SERVERS)."""
    stripe: stripe_settings.StripeSettings | None
    """The settings of billing; None without STRIPE_SECRET_KEY."""
    import_allow_hosts: tuple[str, ...]
    """host:port pairs on private addresses that URL imports and webhooks may reach (IMPORT_ALLOW_HOSTS)."""
    tagger_model: Path | None
    """A YAMNet export that tags sound (AUDIO_TAGGER_MODEL); None is the built-in tagger."""
    tagger: str
    """That tagger's name, which recordings store."""


DEFAULTS = {
    "S3_REGION": "us-east-1",
    "S3_BUCKET_RECORDINGS": "recordings",
    "S3_BUCKET_CLIPS": "clips",
    "MAIL_FROM": "Big Snuggles <no-reply@localhost>",
    "HOST": "127.0.0.1",
    "PORT": "8000",
    "APP_ENV": "development",
    "LOG_LEVEL": "info",
    "WORKER_THREADS": "3",
    "SOCKET_EXEMPT_ADDRESSES": "127.0.0.1,::1",
    "RECORDING_MAX_BYTES": str(50 * 1024**3),
    # For the database, logs and files of running jobs.
    "DISK_RESERVE_BYTES": str(512 * 1024**2),
}
LOG_LEVELS = ("debug", "info", "warning", "error")


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings; SettingsError names the first one that is missing or wrong."""
    source = os.environ if environment is None else environment
    env = {**DEFAULTS, **{name: value for name, value in source.items() if value != ""}}
    app_env = env["APP_ENV"]
    if app_env not in ("development", "production"):
        raise SettingsError(f"APP_ENV is {app_env!r}; set it to development or production")
    if problem := address_problem(env):
        raise SettingsError(problem)
    port = _integer(env, "PORT", 0, 65535)
    settings = Settings(
        database_url=_required(env, "DATABASE_URL", "postgresql://user:password@host:5432/name"),
        migration_database_url=env.get("MIGRATION_DATABASE_URL") or env["DATABASE_URL"],
        redis_url=_required(env, "REDIS_URL", "redis://host:6379/0"),
        broker_url=env.get("BROKER_URL") or env["REDIS_URL"],
        s3_endpoint=env.get("S3_ENDPOINT"),
        s3_public_endpoint=env.get("S3_PUBLIC_ENDPOINT"),
        s3_region=env["S3_REGION"],
        s3_access_key=env.get("S3_ACCESS_KEY"),
        s3_secret_key=env.get("S3_SECRET_KEY"),
        s3_bucket_recordings=env["S3_BUCKET_RECORDINGS"],
        s3_bucket_clips=env["S3_BUCKET_CLIPS"],
        storage_dir=_path(env, "STORAGE_DIR"),
        clips_public_base_url=env.get("CLIPS_PUBLIC_BASE_URL"),
        jwt_secret=_required(env, "JWT_SECRET", "the output of `openssl rand -hex 32`"),
        supabase_jwks_url=env.get("SUPABASE_JWKS_URL"),
        admin_token=env.get("ADMIN_TOKEN"),
        smtp_url=env.get("SMTP_URL"),
        mail_from=env["MAIL_FROM"],
        sentry_dsn=env.get("SENTRY_DSN"),
        public_url=env.get("PUBLIC_URL", f"http://127.0.0.1:{port}").rstrip("/"),
        cors_origins=_words(env, "CORS_ORIGINS"),
        forwarded_allow_ips=_networks(env, "FORWARDED_ALLOW_IPS"),
        host=env["HOST"],
        port=port,
        app_env="production" if app_env == "production" else "development",
        log_level=env["LOG_LEVEL"].lower(),
        scratch_dir=_path(env, "SCRATCH_DIR"),
        worker_threads=_integer(env, "WORKER_THREADS", 1, 64),
        recording_max_bytes=_integer(env, "RECORDING_MAX_BYTES", 1, MAX_OBJECT_BYTES),
        disk_reserve_bytes=_integer(env, "DISK_RESERVE_BYTES", 0, MAX_OBJECT_BYTES),
        socket_exempt_addresses=_words(env, "SOCKET_EXEMPT_ADDRESSES"),
        ice_servers=_ice_servers(env),
        stripe=_stripe(env),
        import_allow_hosts=_words(env, "IMPORT_ALLOW_HOSTS"),
        tagger_model=_path(env, "AUDIO_TAGGER_MODEL"),
        tagger=_tagger_name(_path(env, "AUDIO_TAGGER_MODEL")),
    )
    _check(settings)
    return settings


def _stripe(env: Mapping[str, str]) -> stripe_settings.StripeSettings | None:
    try:
        return stripe_settings.load(env)
    except stripe_settings.StripeSettingsError as error:
        raise SettingsError(str(error)) from error


def _check(settings: Settings) -> None:
    _check_secrets(settings)
    if settings.log_level not in LOG_LEVELS:
        raise SettingsError(f"LOG_LEVEL is {settings.log_level!r}; use one of {', '.join(LOG_LEVELS)}")
    if settings.s3_endpoint:
        for name in ("s3_access_key", "s3_secret_key"):
            if not getattr(settings, name):
                raise SettingsError(f"{name.upper()} is missing; S3_ENDPOINT is set, so storage needs it")
    elif settings.storage_dir is None:
        raise SettingsError("S3_ENDPOINT is missing; set it, or STORAGE_DIR to keep objects in a folder")


def _check_secrets(settings: Settings) -> None:
    secrets = {"JWT_SECRET": settings.jwt_secret}
    if settings.app_env == "production":
        if not settings.admin_token:
            raise SettingsError("ADMIN_TOKEN is missing; production needs one of at least 32 random bytes")
        secrets["ADMIN_TOKEN"] = settings.admin_token
    for name, value in secrets.items():
        if len(value.encode()) < MIN_SECRET_BYTES:
            raise SettingsError(f"{name} is too short; use at least {MIN_SECRET_BYTES} random bytes")
        if settings.app_env == "production" and is_guessable(value):
            raise SettingsError(f"{name} is too easy to guess; use the output of `openssl rand -hex 32`")


def _required(env: Mapping[str, str], name: str, example: str) -> str:
    value = env.get(name)
    if not value:
        raise SettingsError(f"{name} is missing; set it to {example}")
    return value


def _integer(env: Mapping[str, str], name: str, least: int, most: int) -> int:
    try:
        value = int(env[name])
    except ValueError as error:
        raise SettingsError(f"{name} is {env[name]!r}; it must be a whole number") from error
    if not least <= value <= most:
        raise SettingsError(f"{name} is {value}; it must be between {least} and {most}")
    return value


def _path(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name)
    return Path(value).expanduser().absolute() if value else None


def _tagger_name(model: Path | None) -> str:
    """Return the tagger's name, from its model's content. `snuggles doctor` and jobs find out whether it works."""
    if model is None:
        return BUILTIN_TAGGER
    try:
        return name_tagger(model.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"AUDIO_TAGGER_MODEL is {str(model)!r}, which cannot be read ({error.strerror}); "
            "name a YAMNet export, or leave it out for the built-in tagger"
        ) from error


def _words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in env.get(name, "").split(",") if word.strip())


def _ice_servers(env: Mapping[str, str]) -> tuple[IceServer, ...]:
    try:
        return msgspec.json.decode(env.get("ICE_SERVERS", "[]"), type=tuple[IceServer, ...])
    except msgspec.MsgspecError as error:
        # The value contains credentials, so the message does not repeat it.
        raise SettingsError(
            f"ICE_SERVERS is invalid ({error}); it takes a JSON list such as "
            '[{"urls": ["turn:turn.example.com:3478"], "username": "u", "credential": "p"}]'
        ) from error


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = _words(env, name)
    for word in words:
        try:
            ip_network(word)
        except ValueError as error:
            raise SettingsError(
                f"{name} names {word!r}; it takes addresses and networks of proxies, such as 127.0.0.1, 10.0.0.0/8. "
                "Trusting all senders would let clients choose their own address"
            ) from error
    return words
