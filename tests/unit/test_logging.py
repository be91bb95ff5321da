import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from services.process.logging import configure
from services.process.settings import Settings, load

ENVIRONMENT = {
    "DATABASE_URL": "postgresql://app:pw@db/snuggles",
    "REDIS_URL": "redis://:pw@cache/0",
    "STORAGE_DIR": "/var/lib/snuggles",
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "ADMIN_TOKEN": "fedcba9876543210fedcba9876543210",
}
SIGNED = "https://s3.example/clips/a.mp4?X-Amz-Signature=abcdef&X-Amz-Date=1"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def settings(**overrides: str) -> Settings:
    return load(ENVIRONMENT | overrides)


def test_production_writes_json_with_the_fields_and_the_part() -> None:
    output = io.StringIO()
    configure(settings(APP_ENV="production"), part="worker", stream=output)
    structlog.get_logger("here").info("clip_ready", clip_id="7", size_bytes=3)
    event = json.loads(output.getvalue())
    expected = {"event": "clip_ready", "clip_id": "7", "size_bytes": 3, "part": "worker", "level": "info"}
    assert expected.items() <= event.items()
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize("app_env", ["development", "production"])
def test_secrets_and_signed_addresses_are_not_written(app_env: str) -> None:
    output = io.StringIO()
    configure(settings(APP_ENV=app_env), part="api", stream=output)
    log = structlog.get_logger()
    log.info("fetch", url=SIGNED, headers={"Authorization": "Bearer abc.def.ghi"}, list=[SIGNED])
    log.info("login", password="hunter2", access_token="abc.def.ghi", sent="Bearer abc.def.ghi")
    log.info("connect", url="postgresql://app:hunter2@db/snuggles")
    logging.getLogger("library").warning("GET %s", SIGNED)
    log.error("failed", exc_info=ValueError(SIGNED))
    text = output.getvalue()
    assert "abcdef" not in text
    assert "hunter2" not in text
    assert "abc.def.ghi" not in text
    assert text.count("https://s3.example/clips/a.mp4?[redacted]") >= 4


def test_names_that_only_contain_a_secret_word_are_kept() -> None:
    output = io.StringIO()
    configure(settings(), part="api", stream=output)
    structlog.get_logger().info("parsed", tokenizer="fast", secretary="Ada")
    assert "secretary=Ada tokenizer=fast" in output.getvalue()


def test_less_than_the_level_is_not_written() -> None:
    output = io.StringIO()
    configure(settings(LOG_LEVEL="warning"), part="api", stream=output)
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    assert output.getvalue() == ""


def test_link_of_a_mail_that_cannot_be_sent_is_written_whole() -> None:
    output = io.StringIO()
    configure(settings(), part="api", stream=output)
    structlog.get_logger().info("mail", link="http://127.0.0.1/verify?token=once")
    assert "token=once" in output.getvalue()


UNSAFE = "ada\r\nERROR forged \x1b[2J\u202egnp.exe\u2028\x00"


@pytest.mark.parametrize("app_env", ["development", "production"])
def test_control_and_bidirectional_characters_are_escaped_wherever_they_come_from(app_env: str) -> None:
    output = io.StringIO()
    configure(settings(APP_ENV=app_env), part="api", stream=output)
    log = structlog.get_logger()
    log.info("named", name=UNSAFE, nested={"names": [UNSAFE]})
    logging.getLogger("library").warning("named %s", UNSAFE)
    log.error("failed", exc_info=ValueError(UNSAFE.replace("\n", "")))
    text = output.getvalue()
    assert not set(text) & set("\r\x1b\u202e\u2028\x00")
    assert not [line for line in text.splitlines() if line.startswith("ERROR forged")]
    assert text.count("u202e") >= 4


@pytest.mark.parametrize("key", ["sk_live_51Habc", "rk_test_51Habc", "whsec_abcdef", "snk_3fK9xQ12"])
def test_keys_are_known_by_their_beginning_wherever_they_stand(key: str) -> None:
    output = io.StringIO()
    configure(settings(), part="api", stream=output)
    structlog.get_logger().info("said", text=f"the key {key}, refused", key_of=[key])
    structlog.get_logger().error("failed", exc_info=ValueError(f"invalid: {key}"))
    assert key not in output.getvalue()
    assert output.getvalue().count("[redacted]") == 3
