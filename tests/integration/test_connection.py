"""Transactions carry an identity, and nothing of it stays on the connection."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from db.connection import SERVICE, Database, DatabaseUnavailableError, Identity, as_service, user_identity


def add_user(database: Database) -> UUID:
    user = uuid4()
    with database.transaction(SERVICE) as tx:
        tx.execute("INSERT INTO users (id, email) VALUES (%s, %s)", (user, f"{user}@example.org"))
    return user


def test_connections_that_all_died_in_the_pool_are_passed_over(database: Database, owner_url: str) -> None:
    gate = threading.Barrier(8)

    def use() -> None:
        with database.transaction(SERVICE) as tx:
            gate.wait(20)
            tx.execute("SELECT 1")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: use(), range(8)))
    with psycopg.connect(owner_url, autocommit=True) as owner:
        ended = owner.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert len(ended) >= 8
    # Not DatabaseUnavailableError, however many of the pool's connections have to be tried.
    with database.transaction(SERVICE) as tx:
        assert tx.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_user_sees_only_himself(database: Database) -> None:
    mine, _ = add_user(database), add_user(database)

    with database.transaction(user_identity(mine)) as tx:
        assert tx.execute("SELECT id FROM users").fetchall() == [{"id": mine}]


def test_password_hash_cannot_be_read_by_its_user(database: Database) -> None:
    mine = add_user(database)

    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction(user_identity(mine)) as tx:
        tx.execute("SELECT password_hash FROM users")


def test_user_cannot_make_himself_admin(database: Database) -> None:
    mine = add_user(database)

    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction(user_identity(mine)) as tx:
        tx.execute("UPDATE users SET is_admin = true")


def test_user_cannot_raise_his_own_quota(database: Database) -> None:
    mine = add_user(database)

    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction(user_identity(mine)) as tx:
        tx.execute(
            "INSERT INTO usage_quotas (user_id, feature, period_start) VALUES (%s, 'clips_per_month', now())", (mine,)
        )


def test_recording_of_another_users_object_is_refused(database: Database) -> None:
    mine, other = add_user(database), add_user(database)

    with pytest.raises(psycopg.errors.CheckViolation), database.transaction(user_identity(mine)) as tx:
        tx.execute(
            "INSERT INTO recordings (user_id, title, filename, content_type, source_key) "
            "VALUES (%s, 'x', 'x', 'x', %s)",
            (mine, f"{other}/{uuid4()}/source"),
        )


def test_anonymous_sees_no_users(database: Database) -> None:
    add_user(database)

    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction(Identity(role="anon")) as tx:
        tx.execute("SELECT id FROM users")


def test_identity_is_gone_after_the_transaction(database_url: str) -> None:
    database = Database(database_url, min_size=1, max_size=1)
    database.open(wait_s=20)
    mine = add_user(database)
    with database.transaction(user_identity(mine)):
        pass

    with database.transaction(Identity(role="anon")) as tx:
        assert tx.execute("SELECT current_user AS me, current_user_id() AS id").fetchone() == {"me": "anon", "id": None}
    database.close()


def test_failed_block_rolls_back(database: Database) -> None:
    mine = add_user(database)

    with pytest.raises(psycopg.errors.DivisionByZero), database.transaction(user_identity(mine)) as tx:
        tx.execute("WITH half AS (UPDATE users SET display_name = 'half') SELECT 1 / 0")

    with database.transaction(user_identity(mine)) as tx:
        assert tx.execute("SELECT display_name FROM users").fetchone() == {"display_name": ""}


def test_as_service_lasts_for_its_block(database: Database) -> None:
    mine, _ = add_user(database), add_user(database)

    with database.transaction(user_identity(mine)) as tx:
        with as_service(tx):
            everyone = tx.execute("SELECT count(*) AS n FROM users").fetchone()
        me = tx.execute("SELECT count(*) AS n FROM users").fetchone()

    assert (everyone, me) == ({"n": 2}, {"n": 1})


def test_unreachable_database_is_a_typed_error() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(DatabaseUnavailableError, match="DATABASE_URL"):
        database.open(wait_s=0.2)
    database.close()
