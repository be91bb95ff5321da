import inspect
import re
import secrets
from pathlib import Path

import pytest

from cli.stack.folder import DataFolder, Secrets
from cli.stack.parts import SETTINGS, draw
from services.process import settings as settings_module
from services.process.settings import SettingsError, load

SECRET = secrets.token_hex(32)
ENOUGH = {
    "DATABASE_URL": "postgresql://a:b@127.0.0.1:5432/c",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "STORAGE_DIR": "objects",
    "JWT_SECRET": SECRET,
    "ADMIN_TOKEN": SECRET,
}


@pytest.mark.parametrize("name", ["JWT_SECRET", "ADMIN_TOKEN"])
@pytest.mark.parametrize(
    "weak",
    [
        "",
        "tiny",
        "a" * 64,
        "changeme-changeme-changeme-changeme",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
    ],
)
def test_weak_secret_stops_production_with_its_name(name: str, weak: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        load({**ENOUGH, "APP_ENV": "production", name: weak})
    assert weak == "" or weak not in str(caught.value)


def test_random_secrets_are_good_enough_for_production() -> None:
    for make in (secrets.token_hex, secrets.token_urlsafe):
        assert load({**ENOUGH, "APP_ENV": "production", "JWT_SECRET": make(32)}).app_env == "production"


@pytest.mark.parametrize(
    "name",
    [
        "DATABASE_URL",
        "MIGRATION_DATABASE_URL",
        "REDIS_URL",
        "BROKER_URL",
        "PUBLIC_URL",
        "S3_ENDPOINT",
        "S3_PUBLIC_ENDPOINT",
        "SUPABASE_JWKS_URL",
        "CLIPS_PUBLIC_BASE_URL",
        "SENTRY_DSN",
        "SMTP_URL",
    ],
)
@pytest.mark.parametrize("value", ["junk", "ftp://host/x", "redis://host:port/0", "http://[::1"])
def test_address_that_is_none_is_named_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        load({**ENOUGH, name: value})
    assert value not in str(caught.value)


def test_addresses_in_use_are_accepted() -> None:
    settings = load({**ENOUGH, "DATABASE_URL": "host=/run/postgresql dbname=c", "SMTP_URL": "smtps://u:p@mail:465"})
    assert settings.database_url.startswith("host=")
    assert load({**ENOUGH, "BROKER_URL": "amqps://u:p@host:5671/clips"}).broker_url.startswith("amqps://")


def test_public_address_of_s3_is_read_and_must_be_one() -> None:
    s3 = {**ENOUGH, "S3_ENDPOINT": "http://minio:9000", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "b"}
    public = "https://media.example.com/storage/v1/s3"
    assert load({**s3, "S3_PUBLIC_ENDPOINT": public}).s3_public_endpoint == public
    assert load(s3).s3_public_endpoint is None
    with pytest.raises(SettingsError, match="S3_PUBLIC_ENDPOINT is not an address"):
        load({**s3, "S3_PUBLIC_ENDPOINT": "media.example.com"})


def test_every_setting_is_handed_on_by_the_embedded_stack() -> None:
    source = inspect.getsource(settings_module)
    read = set(re.findall(r'(?:env\.get|env|_required|_integer|_path|_words)[([](?:env, )?"([A-Z][A-Z0-9_]+)"', source))
    assert {"DATABASE_URL", "S3_PUBLIC_ENDPOINT", "DISK_RESERVE_BYTES", "APP_ENV"} <= read
    # The stack chooses the port, and migrates by itself.
    assert read - {"PORT", "MIGRATION_DATABASE_URL"} <= set(SETTINGS)


def test_what_tracing_and_a_proxy_need_is_handed_on_and_nothing_foreign(tmp_path: Path) -> None:
    handed_on = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "FORWARDED_ALLOW_IPS": "10.0.0.5"}
    environment = {**ENOUGH, **handed_on, "OTEL_SERVICE_NAME": "", "AWS_SECRET_ACCESS_KEY": "somebody's"}
    drawn = draw(DataFolder(tmp_path), Secrets(), environment, port=8000).environment
    assert handed_on.items() <= drawn.items()
    assert not {"OTEL_SERVICE_NAME", "AWS_SECRET_ACCESS_KEY"} & drawn.keys()


def test_ice_servers_are_read_as_browsers_take_them() -> None:
    value = (
        '[{"urls": ["turn:turn.example.com:3478"], "username": "u", "credential": "p"}, {"urls": ["stun:a.example"]}]'
    )
    first, second = load({**ENOUGH, "ICE_SERVERS": value}).ice_servers
    assert (first.urls, first.username, first.credential) == (["turn:turn.example.com:3478"], "u", "p")
    assert second.credential is None
    assert load(ENOUGH).ice_servers == ()


@pytest.mark.parametrize("value", ["turn:secret@host", '[{"urls": ["http://secret"]}]', '[{"urls": []}]'])
def test_ice_servers_that_are_none_are_named_and_not_repeated(value: str) -> None:
    with pytest.raises(SettingsError, match="ICE_SERVERS") as caught:
        load({**ENOUGH, "ICE_SERVERS": value})
    assert "secret" not in str(caught.value)
