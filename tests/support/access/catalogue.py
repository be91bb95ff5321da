"""What a migrated database lets each role do, read from its catalogue."""

from typing import Any

import psycopg
from msgspec import Struct

COLUMNS = """
SELECT t.relname AS table_name, a.attname AS column_name, role, privilege
FROM pg_class t
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN unnest(ARRAY['anon', 'authenticated', 'snuggles_user']) AS role
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS privilege
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p', 'v', 'm', 'f') AND t.relname !~ '^_?yoyo'
  AND has_column_privilege(role, t.oid, a.attnum, privilege)
ORDER BY t.relname, a.attnum
"""
TABLES = """
SELECT t.relname AS name, array_agg(a.attname ORDER BY a.attnum) AS columns,
    has_table_privilege('anon', t.oid, 'DELETE') AS anon_deletes,
    has_table_privilege('authenticated', t.oid, 'DELETE') AS authenticated_deletes,
    has_table_privilege('snuggles_user', t.oid, 'DELETE') AS api_deletes
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p', 'v', 'm', 'f') AND t.relname !~ '^_?yoyo'
GROUP BY t.oid, t.relname ORDER BY t.relname
"""
POLICIES = """
SELECT tablename, coalesce(qual, with_check) AS condition FROM pg_policies
WHERE 'authenticated' = ANY(roles) OR 'public' = ANY(roles) OR 'anon' = ANY(roles) ORDER BY tablename, policyname
"""
OWN = "current_user_id()"


class Table(Struct, frozen=True, kw_only=True):
    """One table. Columns by role; `api` is `snuggles_user`, as which the API acts for a signed-in user."""

    name: str
    columns: list[str]
    rows: str
    """Whose rows are seen, in words."""
    anon_reads: list[str]
    reads: list[str]
    writes: list[str]
    """What `authenticated` and `anon` may write: nothing, or something is wrong."""
    api_reads: list[str]
    api_inserts: list[str]
    api_updates: list[str]
    api_deletes: bool


def read_catalogue(owner: psycopg.Connection[Any]) -> list[Table]:
    """Return every table of the product, by name."""
    granted: dict[tuple[str, str, str], list[str]] = {}
    for table, column, role, privilege in owner.execute(COLUMNS):
        granted.setdefault((table, role, privilege), []).append(column)
    conditions: dict[str, list[str]] = {}
    for table, condition in owner.execute(POLICIES):
        conditions.setdefault(table, []).append(condition or "")
    return [
        Table(
            name=name,
            columns=columns,
            rows=_rows(
                conditions.get(name, []), is_secured=name in conditions or not granted.get((name, "anon", "SELECT"))
            ),
            anon_reads=granted.get((name, "anon", "SELECT"), []),
            reads=granted.get((name, "authenticated", "SELECT"), []),
            writes=[
                *(
                    column
                    for role in ("anon", "authenticated")
                    for privilege in ("INSERT", "UPDATE")
                    for column in granted.get((name, role, privilege), [])
                ),
                *(["(delete)"] if anon_deletes or authenticated_deletes else []),
            ],
            api_reads=granted.get((name, "snuggles_user", "SELECT"), []),
            api_inserts=granted.get((name, "snuggles_user", "INSERT"), []),
            api_updates=granted.get((name, "snuggles_user", "UPDATE"), []),
            api_deletes=api_deletes,
        )
        for name, columns, anon_deletes, authenticated_deletes, api_deletes in owner.execute(TABLES)
    ]


def _rows(conditions: list[str], *, is_secured: bool) -> str:
    """Say whose rows the policies let a user see."""
    if not conditions:
        return "nobody's" if is_secured else "everybody's"
    words = []
    if any(OWN in condition for condition in conditions):
        words.append("one's own")
    if any("is_room_member" in condition or "room_participants" in condition for condition in conditions):
        words.append("of one's rooms")
    if any("FROM jobs" in condition and OWN not in condition for condition in conditions):
        words.append("of one's jobs")
    return ", ".join(words) or "by a rule of its own"
