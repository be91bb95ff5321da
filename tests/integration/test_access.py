"""Tries every line of `docs/access.md`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from litestar.routes import HTTPRoute
from psycopg import sql
from support.access.catalogue import Table, read_catalogue
from support.access.document import PATH, document
from support.access.routes import Route, read_routes, somewhere
from support.access.seed import seed
from support.api.server import Service
from support.servers.databases import clone_of_template

from cli.embedded import postgres
from db.connection import SERVICE
from services.errors import ConflictError
from services.lifecycle import maintenance

Outcome = Literal["denied", "hidden", "done"]
OWNER, STRANGER = uuid4(), uuid4()
SECRETS = {"password_hash", "key_hash", "token_hash", "secret", "totp_secret", "lease_token", "code_hash", "public_key"}
"""Columns that nobody reads in SQL, by name."""


@pytest.fixture(scope="module")
def owner(postgres_server: postgres.PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """The owner of a database in which every table has a row of one user."""
    with clone_of_template(postgres_server) as url, psycopg.connect(url, autocommit=True) as connection:
        seed(connection, OWNER)
        connection.execute(PROBE)
        yield connection


@pytest.fixture(scope="module")
def tables(owner: psycopg.Connection[Any]) -> list[Table]:
    return read_catalogue(owner)


@contextmanager
def acting(owner: psycopg.Connection[Any], role: str, user_id: UUID | None) -> Iterator[None]:
    """Act in a transaction that leaves nothing behind, as a role with the claims of a user."""
    claims = {"role": "authenticated"} | ({"sub": str(user_id)} if user_id else {})
    with owner.transaction(force_rollback=True):
        owner.execute("SELECT set_config('request.jwt.claims', %s, true)", (msgspec.json.encode(claims).decode(),))
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        yield


PROBE = """
CREATE OR REPLACE FUNCTION pg_temp.probe(role text, claims text, statements text[]) RETURNS text[]
    LANGUAGE plpgsql AS $$
DECLARE
    outcomes text[] := '{}';
    outcome text;
    statement text;
    changed bigint;
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        BEGIN
            PERFORM set_config('request.jwt.claims', claims, true), set_config('role', role, true);
            EXECUTE statement;
            GET DIAGNOSTICS changed = ROW_COUNT;
            RAISE EXCEPTION USING ERRCODE = 'P0001', MESSAGE = CASE WHEN changed > 0 THEN 'done' ELSE 'hidden' END;
        EXCEPTION
            WHEN raise_exception THEN outcome := SQLERRM;
            WHEN insufficient_privilege OR generated_always THEN outcome := 'denied';
            -- It was allowed to try: a constraint refused these values.
            WHEN OTHERS THEN outcome := 'done';
        END;
        outcomes := outcomes || outcome;
    END LOOP;
    RETURN outcomes;
END
$$
"""
"""Runs statements as a role with claims, each undone at once, and says what became of them: `denied`, `hidden` (without
rows) or `done`."""


def outcomes(
    owner: psycopg.Connection[Any], role: str, user_id: UUID | None, statements: Sequence[sql.Composed]
) -> list[Outcome]:
    """What becomes of each statement."""
    claims = {"role": "authenticated"} | ({"sub": str(user_id)} if user_id else {})
    texts = [statement.as_string(owner) for statement in statements]
    with owner.transaction(force_rollback=True):
        row = owner.execute("SELECT pg_temp.probe(%s, %s, %s)", (role, json.dumps(claims), texts)).fetchone()
    assert row is not None
    return list(row[0])


def values_of(owner: psycopg.Connection[Any], table: Table) -> dict[str, sql.Composed]:
    """The row that there is, by column, each value as SQL."""
    parts = [
        sql.SQL("quote_nullable({0}::text) || '::' || pg_typeof({0})").format(sql.Identifier(column))
        for column in table.columns
    ]
    query = sql.SQL("SELECT {} FROM {} LIMIT 1").format(sql.SQL(", ").join(parts), sql.Identifier(table.name))
    row = owner.execute(query).fetchone()
    assert row is not None, f"{table.name} has no row"
    return {column: sql.Composed([sql.SQL(value)]) for column, value in zip(table.columns, row, strict=True)}


def test_page_says_what_is(tables: list[Table], service: Service) -> None:
    assert document(tables, read_routes(service.app)) == PATH.read_text(encoding="utf-8"), "run `make access`"


def test_every_route_is_of_a_kind_that_the_page_lists(service: Service) -> None:
    assert [route.path for route in service.app.routes if not isinstance(route, HTTPRoute)] == []


def test_no_function_but_a_question_about_oneself_runs_with_its_owners_rights(
    owner: psycopg.Connection[Any],
) -> None:
    found = owner.execute(
        "SELECT proname, has_function_privilege('anon', oid, 'EXECUTE') FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    assert found.fetchall() == [("is_room_member", False)]


def test_nobody_writes_in_sql_and_secrets_are_not_read(tables: list[Table]) -> None:
    for table in tables:
        assert table.writes == [], f"{table.name} can be written by anybody who speaks SQL: {table.writes}"
        assert not SECRETS & set(table.reads), table.name
        if table.rows == "nobody's":
            assert (table.reads, table.api_reads, table.api_inserts) == ([], [], []), table.name
    assert {table.name for table in tables if table.anon_reads or table.rows == "everybody's"} == {"tier_features"}


WHO = {
    "owner": ("authenticated", OWNER),
    "stranger": ("authenticated", STRANGER),
    "without claims": ("authenticated", None),
    "anonymous": ("anon", None),
    "anonymous with claims": ("anon", OWNER),
    "api for owner": ("snuggles_user", OWNER),
    "api for stranger": ("snuggles_user", STRANGER),
    "api without claims": ("snuggles_user", None),
}


@pytest.mark.parametrize(("role", "user_id"), WHO.values(), ids=WHO.keys())
def test_every_column_of_every_table_is_as_the_page_says(
    owner: psycopg.Connection[Any], tables: list[Table], role: str, user_id: UUID | None
) -> None:
    tried = {what: statement for table in tables for what, statement in trials(owner, table)}
    found = dict(zip(tried, outcomes(owner, role, user_id, list(tried.values())), strict=True))
    expected: dict[str, Outcome] = {}
    is_api = role == "snuggles_user"
    for table in tables:
        readable = {"anon": table.anon_reads, "authenticated": table.reads, "snuggles_user": table.api_reads}[role]
        sees: Outcome = "done" if user_id == OWNER or table.rows == "everybody's" else "hidden"
        for column in table.columns:
            expected[f"SELECT {table.name}.{column}"] = sees if column in readable else "denied"
            expected[f"UPDATE {table.name}.{column}"] = sees if is_api and column in table.api_updates else "denied"
            if is_api and column in table.api_inserts:  # whole rows are tried below
                del found[f"INSERT {table.name}.{column}"]
            else:
                expected[f"INSERT {table.name}.{column}"] = "denied"
        expected[f"DELETE {table.name}"] = sees if is_api and table.api_deletes else "denied"
    assert {what: (found[what], expected[what]) for what in expected if found[what] != expected[what]} == {}
    assert found.keys() == expected.keys()
    assert len(found) > 1000


def trials(owner: psycopg.Connection[Any], table: Table) -> Iterator[tuple[str, sql.Composed]]:
    """Every statement that is tried on a table, by name."""
    name = sql.Identifier(table.name)
    for column, value in values_of(owner, table).items():
        parts = (name, sql.Identifier(column), value)
        yield f"SELECT {table.name}.{column}", sql.SQL("SELECT {1} FROM {0}").format(*parts)
        yield f"UPDATE {table.name}.{column}", sql.SQL("UPDATE {0} SET {1} = {2}").format(*parts)
        yield f"INSERT {table.name}.{column}", sql.SQL("INSERT INTO {0} ({1}) VALUES ({2})").format(*parts)
    yield f"DELETE {table.name}", sql.SQL("DELETE FROM {0}").format(name)


def test_nothing_can_be_inserted_for_or_about_anothers_things(
    owner: psycopg.Connection[Any], tables: list[Table]
) -> None:
    tried = 0
    for table in tables:
        for owned_by in (OWNER, STRANGER) if table.api_inserts else ():
            columns = [column for column in table.api_inserts if column != "id"]
            values = values_of(owner, table) | {"user_id": sql.SQL("{}").format(sql.Literal(owned_by))}
            copy = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table.name),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(values[column] for column in columns),
            )
            refers = {"recording_id", "clip_id", "job_id", "highlight_id"} & set(columns)
            if owned_by == STRANGER and not refers:
                continue  # a row of their own, which refers to nothing
            with acting(owner, "snuggles_user", STRANGER), pytest.raises(psycopg.Error) as refused:
                owner.execute(copy)
            assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege | psycopg.errors.CheckViolation), (
                f"{table.name} of {'another' if owned_by == OWNER else 'their own'}: {refused.value}"
            )
            tried += 1
    assert tried >= 8


@pytest.mark.parametrize(
    "job",
    [
        {"kind": "delete_objects", "queue": "render"},
        {"kind": "delete_objects", "queue": "housekeeping"},
        {"kind": "prune_jobs", "queue": "detect"},
        {"kind": "render", "queue": "ingest"},
        {"kind": "send_mail", "queue": "webhook"},
        {"kind": "render", "queue": "render", "priority": 100},
    ],
)
def test_user_queues_work_on_media_alone(owner: psycopg.Connection[Any], job: dict[str, Any]) -> None:
    values = {"user_id": OWNER, **job}
    insert = sql.SQL("INSERT INTO jobs ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(sql.Placeholder() * len(values))
    )
    with acting(owner, "snuggles_user", OWNER), pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute(insert, list(values.values()))


def test_every_route_lets_in_who_the_page_says(service: Service) -> None:
    people = {
        "nobody": {},
        "reader": key_of(service, ["read"]),
        "writer": key_of(service, ["read", "write"]),
        "person": {"Authorization": f"Bearer {service.person().token}"},
        "admin": {"Authorization": f"Bearer {service.person(is_admin=True).token}"},
        "operator": {"Authorization": f"Bearer {service.deps.settings.admin_token}"},
    }
    for route in read_routes(service.app):
        if route.path.startswith("/storage/") or route.path in ENDING:
            continue
        for who in TRIED[route.who]:
            if who != "nobody" and route.path.endswith("/events"):
                continue  # a stream that does not end
            answer = service.client.request(
                route.method, somewhere(route.path), headers=people[who], json={}, follow_redirects=False
            )
            expected = expected_of(route, who)
            said = f"{route.method} {route.path} as {who}: {answer.status_code} {answer.text[:200]}"
            if expected is None:
                assert answer.status_code not in {401, 403, 500}, said
            else:
                assert answer.status_code == expected, said


TRIED = {
    "anybody": ["nobody"],
    "user": ["nobody", "reader", "writer"],
    "person": ["nobody", "writer", "person"],
    "operator": ["nobody", "person", "admin", "operator"],
    "scraper": ["nobody", "operator"],
}
ENDING = {"/api/auth/logout", "/api/me", "/api/me/sessions"}
"""Routes that end the very session they are tried with."""


def key_of(service: Service, scopes: list[str]) -> dict[str, str]:
    made = service.person(tier="pro").post("/api/me/keys", {"name": "key", "scopes": scopes})
    return {"Authorization": f"Bearer {made.json()['data']['key']}"}


def expected_of(route: Route, who: str) -> int | None:
    """The status that a route must answer; None where anything but 401 and 403 will do."""
    if who == "nobody":
        return None if route.who == "anybody" else 401
    is_refused = {
        "reader": route.method not in {"GET", "HEAD"},
        "writer": route.who == "person",
        "person": route.who == "operator",
    }
    return 403 if is_refused.get(who) else None


def test_deletion_by_prefix_spares_what_rows_refer_to(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    (row,) = service.rows("SELECT source_key, waveform_key FROM recordings")
    old = f"{person.id}/{recording_id}/ingest/0/waveform.json"
    with service.deps.database.transaction(SERVICE) as tx:
        keys = [row["source_key"], row["waveform_key"], old]
        prefix = f"{person.id}/{recording_id}/"
        assert maintenance.may_delete(tx, bucket="recordings", prefix=prefix, keys=keys) == [old]
        for forbidden in (f"{person.id}/", "", "/", f"{person.id}", f"{str(person.id)[:8]}", f"{prefix}ingest/"):
            with pytest.raises(ConflictError, match="nothing was deleted"):
                maintenance.may_delete(tx, bucket="recordings", prefix=forbidden, keys=keys)
        assert maintenance.may_delete(tx, bucket="recordings", prefix=f"{uuid4()}/", keys=["any"]) == ["any"]
        tx.execute("UPDATE recordings SET status = 'processing'")
        assert maintenance.may_delete(tx, bucket="recordings", prefix=prefix, keys=keys) is None
