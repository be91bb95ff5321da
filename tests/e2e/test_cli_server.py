"""Commands that need servers, and what they say when those are missing."""

import json
from pathlib import Path

import psycopg
import pytest
from support.api.command import Snuggles

from cli.embedded.port import free_port
from pipeline.types import BUILTIN_TAGGER

CHECKS = ["python", "ffmpeg", "av", "tagger", "database", "redis", "storage", "disk", "sandbox", "settings"]
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def fleet(database_url: str, owner_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a fleet's process."""
    return {
        "DATABASE_URL": database_url,
        "MIGRATION_DATABASE_URL": owner_url,
        "REDIS_URL": redis_url,
        "STORAGE_DIR": str(tmp_path / "storage"),
        "JWT_SECRET": SECRET,
    }


def findings(text: str) -> dict[str, dict[str, str]]:
    document = json.loads(text)
    return {check["name"]: check for check in document["checks"]}


def test_doctor_of_a_machine_without_settings_looks_at_the_embedded_servers(snuggles: Snuggles) -> None:
    done = snuggles("doctor", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["ok"] is True
    assert list(findings(done.stdout)) == CHECKS


def test_doctor_names_the_tagger_and_says_what_is_wrong_with_one(snuggles: Snuggles, tmp_path: Path) -> None:
    assert BUILTIN_TAGGER in findings(snuggles("doctor", "--json").stdout)["tagger"]["detail"]
    (tmp_path / "model.tflite").write_bytes(b"no model")
    done = snuggles("doctor", "--json", environment={"AUDIO_TAGGER_MODEL": str(tmp_path / "model.tflite")})
    assert done.returncode == 3
    tagger = findings(done.stdout)["tagger"]
    assert tagger["status"] == "failed"
    assert "not a TensorFlow Lite model" in tagger["detail"]
    assert "AUDIO_TAGGER_MODEL" in tagger["remedy"]


def test_doctor_says_how_media_children_are_confined(snuggles: Snuggles) -> None:
    found = findings(snuggles("doctor", "--json").stdout)["sandbox"]
    # Recordings are files here, so a child runs as the worker's user.
    assert (found["status"], "share the worker's user" in found["detail"]) == ("warning", True)
    assert "docs/security.md" in found["remedy"]


def test_doctor_says_where_nothing_can_be_written(snuggles: Snuggles, tmp_path: Path) -> None:
    """Not by its rights: root may write to what nobody else may."""
    (tmp_path / ".snuggles").write_text("in the way")
    done = snuggles("doctor", "--json")
    assert done.returncode == 3
    found = findings(done.stdout)
    for name in ("database", "storage"):
        assert (found[name]["status"], bool(found[name]["remedy"])) == ("failed", True)
    assert f"Nothing can be written to {tmp_path / '.snuggles'}" in found["storage"]["detail"]


def test_doctor_of_a_folder_that_cannot_even_be_looked_at_says_so(snuggles: Snuggles) -> None:
    done = snuggles("doctor", "--json", environment={"SNUGGLES_DATA": "a" * 300})
    assert (done.returncode, done.stderr) == (3, "")
    found = findings(done.stdout)
    for name in ("storage", "disk"):
        assert (found[name]["status"], bool(found[name]["remedy"])) == ("failed", True)
        assert "File name too long" in found[name]["detail"]


def test_doctor_of_a_folder_at_home_looks_there(snuggles: Snuggles, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    done = snuggles("doctor", "--json", environment={"HOME": str(tmp_path / "home"), "SNUGGLES_DATA": "~/data"})
    assert findings(done.stdout)["disk"]["detail"].endswith(f" at {tmp_path / 'home'}")


def test_doctor_of_a_fleet_that_is_well_says_ok(snuggles: Snuggles, fleet: dict[str, str]) -> None:
    done = snuggles("doctor", "--json", environment=fleet)
    assert done.returncode == 0, done.stdout
    assert {check["status"] for check in findings(done.stdout).values()} <= {"ok", "warning"}


def test_doctor_says_what_to_do_about_everything_that_is_wrong(
    snuggles: Snuggles, fleet: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    closed = f"127.0.0.1:{free_port()}"
    wrong = {
        "DATABASE_URL": f"postgresql://u:hunter2@{closed}/x",
        "REDIS_URL": f"redis://:hunter2@{closed}/0",
        "STORAGE_DIR": str(tmp_path / "file/objects"),
    }
    done = snuggles("doctor", "--json", environment=fleet | wrong)
    assert done.returncode == 3
    found = findings(done.stdout)
    for name in ("database", "redis", "storage"):
        assert found[name]["status"] == "failed"
        assert found[name]["remedy"]
    assert "hunter2" not in done.stdout + done.stderr
    readable = snuggles("doctor", environment=fleet | wrong)
    assert readable.returncode == 3
    assert "failed   redis" in readable.stdout


def test_doctor_finds_a_schema_that_is_behind(snuggles: Snuggles, fleet: dict[str, str]) -> None:
    assert snuggles("migrate", "--rollback", "1", environment=fleet).returncode == 0
    done = snuggles("doctor", "--json", environment=fleet)
    assert done.returncode == 3
    assert findings(done.stdout)["database"]["remedy"] == "run `snuggles migrate`"


def test_doctor_names_a_setting_that_cannot_be_used(snuggles: Snuggles, fleet: dict[str, str]) -> None:
    done = snuggles("doctor", "--json", environment=fleet | {"APP_ENV": "production"})
    assert done.returncode == 3
    assert "ADMIN_TOKEN" in findings(done.stdout)["settings"]["detail"]


def test_migrate_there_and_back_and_there_again(snuggles: Snuggles, empty_database_url: str) -> None:
    environment = {"DATABASE_URL": empty_database_url}
    applied = snuggles("migrate", environment=environment).stdout.splitlines()
    assert applied[0] == "applied 001_create_identity"
    assert snuggles("migrate", environment=environment).stdout == "up to date\n"
    undone = snuggles("migrate", "--rollback", str(len(applied)), environment=environment).stdout.splitlines()
    assert undone == [line.replace("applied", "undone") for line in reversed(applied)]
    assert snuggles("migrate", environment=environment).stdout.splitlines() == applied
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_migrate_without_a_database_says_so(snuggles: Snuggles) -> None:
    missing = snuggles("migrate")
    assert (missing.returncode, missing.stderr.count("\n")) == (3, 1)
    assert "DATABASE_URL" in missing.stderr
    closed = {"DATABASE_URL": f"postgresql://u:hunter2@127.0.0.1:{free_port()}/x"}
    unreachable = snuggles("migrate", environment=closed)
    assert (unreachable.returncode, unreachable.stderr.count("\n")) == (3, 1)
    assert "hunter2" not in unreachable.stderr


@pytest.mark.parametrize("command", ["api", "worker", "dispatcher"])
@pytest.mark.parametrize(
    ("change", "named"),
    [({"DATABASE_URL": ""}, "DATABASE_URL"), ({"JWT_SECRET": "short"}, "JWT_SECRET"), ({"PORT": "x"}, "PORT")],
)
def test_process_of_a_fleet_names_the_setting_that_is_wrong(
    snuggles: Snuggles, command: str, change: dict[str, str], named: str
) -> None:
    given = {
        "DATABASE_URL": "postgresql://u:p@127.0.0.1/x",
        "REDIS_URL": "redis://127.0.0.1",
        "STORAGE_DIR": "/nowhere",
        "JWT_SECRET": SECRET,
    }
    done = snuggles(command, environment=given | change)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(named)
    assert done.stderr.count("\n") == 1


def test_accounts_of_a_fleet(snuggles: Snuggles, fleet: dict[str, str]) -> None:
    made = snuggles("user", "create", "ada@example.com", environment=fleet)
    assert made.returncode == 0, made.stderr
    token = snuggles("token", "ada@example.com", environment=fleet)
    assert token.returncode == 0, token.stderr
    assert token.stdout.count(".") == 2
    assert snuggles("user", "create", "not an address", environment=fleet).returncode == 1
    assert snuggles("user", "create", "b@example.com", "--password", "short", environment=fleet).returncode == 1


def test_demo_of_a_missing_file_is_refused_before_anything_starts(snuggles: Snuggles, tmp_path: Path) -> None:
    done = snuggles("up", "--file", "gone.mp4", "--port", "0", "--data", "data")
    assert done.returncode == 1
    assert "gone.mp4" in done.stderr
    assert list(tmp_path.iterdir()) == []
