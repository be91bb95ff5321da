"""What SQL grants does not depend on the default privileges of the platform."""

import psycopg
import pytest

from db.migrate import migrate

AS_SUPABASE = "; ".join(
    f"ALTER DEFAULT PRIVILEGES{where} GRANT ALL ON {kind} TO anon, authenticated, service_role"
    for where in ("", " IN SCHEMA public")
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS")
)
PRIVILEGES = """
WITH roles (role) AS (VALUES ('anon'), ('authenticated'), ('snuggles_user')),
ours AS (SELECT oid, relname::text AS name, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace),
tables AS (SELECT oid, name FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'f'))
SELECT role, name, privilege FROM tables, roles,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
WHERE has_table_privilege(role, oid, privilege)
UNION ALL
SELECT role, name || '.' || attname, privilege FROM roles,
    tables JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS privilege
WHERE has_column_privilege(role, oid, attnum, privilege)
UNION ALL
SELECT role, name, privilege FROM ours, roles, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS privilege
WHERE relkind = 'S' AND has_sequence_privilege(role, oid, privilege)
UNION ALL
SELECT role, oid::regprocedure::text, 'EXECUTE' FROM pg_proc, roles
WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(role, oid, 'EXECUTE')
"""
TO_THE_SERVICE = """
SELECT array_agg(privilege ORDER BY privilege)
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
WHERE has_table_privilege('service_role', 'audit_log', privilege)
"""


def privileges(url: str) -> set[tuple[str, str, str]]:
    """(role, table, column, sequence or function, privilege) for all that each role may do."""
    with psycopg.connect(url) as owner:
        return set(owner.execute(PRIVILEGES.encode()).fetchall())


@pytest.fixture
def platform_url(empty_database_url: str) -> str:
    """A database that was migrated where the platform grants everything on whatever is created."""
    with psycopg.connect(empty_database_url) as owner:
        owner.execute(AS_SUPABASE.encode())
    migrate(empty_database_url)
    return empty_database_url


def test_generous_platform_changes_no_privilege(platform_url: str, owner_url: str) -> None:
    expected, found = privileges(owner_url), privileges(platform_url)

    assert sorted(found - expected) == []
    assert sorted(expected - found) == []
    assert len(expected) > 100

    with psycopg.connect(platform_url) as owner:
        assert owner.execute(TO_THE_SERVICE).fetchone() == (["INSERT", "SELECT"],)
        owner.execute("CREATE TABLE later (id bigint GENERATED ALWAYS AS IDENTITY)")
    assert privileges(platform_url) == found
