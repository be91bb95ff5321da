"""The schema: up, down and up again, by us and by psql, and what every table must hold to."""

import re
import shutil
from pathlib import Path

import psycopg
import pytest

from db.migrate import FOLDER, MigrationError, baseline, migrate, pending, rollback

SCHEMA = """
SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS line
FROM information_schema.columns WHERE table_schema = 'public' AND table_name !~ '^_?yoyo'
UNION ALL
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conrelid::regclass::text !~ '^_?yoyo'
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ '^_?yoyo'
UNION ALL
SELECT tablename || ' ' || policyname || ' ' || cmd || ' ' || coalesce(qual, '') || ' ' || coalesce(with_check, '')
FROM pg_policies
ORDER BY line
"""
OWNED_TABLES_OPEN = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)
AND EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = pg_class.oid AND attname IN ('user_id', 'owner_id', 'actor_id'))
"""
OWNED_WITHOUT_POLICY = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity
AND relname NOT IN (SELECT tablename FROM pg_policies)
"""


def schema_of(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [line for (line,) in connection.execute(SCHEMA).fetchall()]


def edited_copy(folder: Path) -> Path:
    shutil.copytree(FOLDER, folder)
    return folder


def test_up_down_up_leaves_the_same_schema(empty_database_url: str) -> None:
    applied = migrate(empty_database_url)
    first = schema_of(empty_database_url)

    undone = rollback(empty_database_url, len(applied))

    assert undone == applied[::-1]
    assert [line for line in schema_of(empty_database_url) if not line.startswith("schema_checksums")] == [
        line for line in schema_of(empty_database_url) if "schema_checksums" in line and not line.startswith("schema_")
    ]
    assert migrate(empty_database_url) == applied
    assert schema_of(empty_database_url) == first


def test_migrate_twice_applies_nothing_more(owner_url: str) -> None:
    assert pending(owner_url) == []
    assert migrate(owner_url) == []


def test_one_step_back_undoes_only_the_newest(owner_url: str) -> None:
    (undone,) = rollback(owner_url, 1)

    assert pending(owner_url) == [undone]


def test_edited_file_is_refused_by_name(empty_database_url: str, tmp_path: Path) -> None:
    folder = edited_copy(tmp_path / "migrations")
    migrate(empty_database_url, folder=folder)
    file = folder / "002_create_accounts.sql"
    file.write_text(file.read_text() + "-- a late thought\n")

    with pytest.raises(MigrationError, match="002_create_accounts was edited"):
        migrate(empty_database_url, folder=folder)


def test_failing_migration_leaves_the_database_at_the_one_before(empty_database_url: str, tmp_path: Path) -> None:
    folder = edited_copy(tmp_path / "migrations")
    applied = migrate(empty_database_url, folder=folder)
    (folder / "9999999999_broken.sql").write_text("CREATE TABLE half (id int);\nSELECT 1 / 0;\n")

    with pytest.raises(MigrationError, match="9999999999_broken failed and was undone"):
        migrate(empty_database_url, folder=folder)

    assert pending(empty_database_url, folder=folder) == ["9999999999_broken"]
    assert not [line for line in schema_of(empty_database_url) if line.startswith("half.")]
    assert len(applied) == len(list(FOLDER.glob("*.rollback.sql")))


def test_unreachable_database_is_explained() -> None:
    with pytest.raises(MigrationError, match="check DATABASE_URL"):
        migrate("postgresql://nobody@127.0.0.1:1/none")


def forward_files() -> list[Path]:
    return sorted(
        (f for f in FOLDER.glob("*.sql") if ".rollback." not in f.name), key=lambda f: int(f.name.split("_")[0])
    )


def apply_by_hand(url: str, files: list[Path]) -> None:
    for file in files:
        with psycopg.connect(url) as connection:
            # What `psql -f` does: the file as it stands, without parameters.
            connection.execute(file.read_text().encode())


def test_psql_applies_the_same_files(empty_database_url: str, owner_url: str) -> None:
    apply_by_hand(empty_database_url, forward_files())

    by_us = [line for line in schema_of(owner_url) if "schema_checksums" not in line]
    assert schema_of(empty_database_url) == by_us


@pytest.mark.parametrize("left_out", [0, 3, len(list(FOLDER.glob("*.rollback.sql"))) - 1])
def test_baseline_records_what_psql_applied_and_migrate_applies_the_rest(
    empty_database_url: str, owner_url: str, left_out: int
) -> None:
    files = forward_files()
    by_hand, rest = files[: len(files) - left_out], files[len(files) - left_out :]
    apply_by_hand(empty_database_url, by_hand)
    before = schema_of(empty_database_url)

    assert baseline(empty_database_url) == [file.stem for file in by_hand]

    assert [line for line in schema_of(empty_database_url) if "schema_checksums" not in line] == before
    assert baseline(empty_database_url) == []
    assert migrate(empty_database_url) == [file.stem for file in rest]
    assert schema_of(empty_database_url) == schema_of(owner_url)
    assert pending(empty_database_url) == []
    assert rollback(empty_database_url, len(files)) == [file.stem for file in reversed(files)]


def test_baseline_records_newer_files_too(empty_database_url: str) -> None:
    files = forward_files()
    migrate(empty_database_url)
    rollback(empty_database_url, 2)
    apply_by_hand(empty_database_url, files[-2:])

    assert baseline(empty_database_url) == [file.stem for file in files[-2:]]

    assert migrate(empty_database_url) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE clips DROP COLUMN title", "clips lacks column title text"),
        ("ALTER TABLE clips ADD COLUMN mood text", "clips also has column mood text"),
        ("ALTER TABLE clips NO FORCE ROW LEVEL SECURITY", "clips lacks row-level security true true"),
        ("DROP POLICY clips_owner ON clips", "clips lacks policy clips_owner"),
        ("REVOKE SELECT ON events FROM authenticated", "events lacks grant SELECT to authenticated"),
        ("DROP INDEX clips_job", "clips lacks index CREATE INDEX clips_job"),
        ("DROP TRIGGER jobs_notify_change ON jobs", "jobs lacks trigger CREATE TRIGGER jobs_notify_change"),
        ("ALTER TABLE clips OWNER TO service_role", "clips also has owner service_role"),
        (
            "ALTER FUNCTION notify_job_changed() OWNER TO service_role",
            "notify_job_changed() also has owner service_role",
        ),
        ("ALTER FUNCTION notify_job_changed() SECURITY DEFINER", ", SECURITY DEFINER"),
    ],
)
def test_baseline_refuses_another_schema_and_names_the_difference(
    empty_database_url: str, change: str, words: str
) -> None:
    apply_by_hand(empty_database_url, forward_files())
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(change.encode())

    with pytest.raises(MigrationError, match=re.escape(words)) as refused:
        baseline(empty_database_url)

    assert "Correct it by hand" in str(refused.value)
    assert len(pending(empty_database_url)) == len(forward_files())


def test_tables_of_another_program_are_refused_and_untouched(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE users (name text)")

    with pytest.raises(MigrationError, match=r"exists already: .*users.*run `snuggles migrate --baseline`"):
        migrate(empty_database_url)
    with pytest.raises(MigrationError, match=r"differs from that of the migrations: users also has column name"):
        baseline(empty_database_url)

    assert [line for line in schema_of(empty_database_url) if line.startswith("users.")] == ["users.name text YES"]


def test_baseline_ignores_other_tables_and_extra_grants(empty_database_url: str) -> None:
    apply_by_hand(empty_database_url, forward_files())
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE somebody_elses (name text)")
        connection.execute("GRANT ALL ON clips TO anon")  # as Supabase does for every table

    assert len(baseline(empty_database_url)) == len(forward_files())


def test_every_table_with_an_owner_forces_row_level_security(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        assert connection.execute(OWNED_TABLES_OPEN).fetchall() == []
        assert connection.execute(OWNED_WITHOUT_POLICY).fetchall() == []


def test_application_login_owns_and_inherits_nothing(owner_url: str, database_url: str) -> None:
    with psycopg.connect(owner_url) as owner:
        owned = owner.execute("SELECT count(*) FROM pg_class WHERE relowner = 'snuggles_app'::regrole").fetchone()
    with psycopg.connect(database_url) as application, pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute("SELECT count(*) FROM users")

    assert owned == (0,)


def test_every_file_has_a_rollback_and_a_name_in_order() -> None:
    files = {f.name for f in FOLDER.glob("*.sql")}
    forward = {name for name in files if ".rollback." not in name}

    assert files - forward == {name.replace(".sql", ".rollback.sql") for name in forward}
    named = {"006_create_rooms_infrastructure", "007_create_voting_system", "008_create_clip_system"}
    assert {f"{name}.sql" for name in named | {"1761641570_create_subscription_system"}} <= forward
