"""Finds out how many migrations were applied to a schema by other means, such as `psql -f`.

The migrations run in a separate schema, in a transaction that is rolled back. The catalogue after each of them is
compared with that of the schema `public`.
"""

from collections.abc import Sequence
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.rows import TupleRow

REHEARSAL = "snuggles_rehearsal"
MAX_DIFFERENCES = 3  # the most that a message names

# One row for each fact about a table or function. The search path keeps the schema out of names. NOT NULL constraints
# are left out, because PostgreSQL has them only since version 18.
CATALOGUE = """
WITH tables AS (
    SELECT oid, relname, relowner, relrowsecurity, relforcerowsecurity FROM pg_class
    WHERE relnamespace = %(schema)s::regnamespace AND relkind IN ('r', 'p')
)
SELECT relname, 'row-level security ' || relrowsecurity || ' ' || relforcerowsecurity FROM tables
UNION ALL
-- The owner of a table bypasses its policies and can add rules to it.
SELECT relname, 'owner ' || pg_get_userbyid(relowner) FROM tables
UNION ALL
SELECT proname || '()',
       'owner ' || pg_get_userbyid(proowner) || CASE WHEN prosecdef THEN ', SECURITY DEFINER' ELSE '' END
FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
UNION ALL
SELECT relname, 'column ' || attname || ' ' || format_type(atttypid, atttypmod)
       || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' ' || pg_get_expr(adbin, adrelid), '')
FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL
SELECT relname, 'constraint ' || conname || ' ' || pg_get_constraintdef(c.oid)
FROM tables JOIN pg_constraint c ON conrelid = tables.oid WHERE contype <> 'n'
UNION ALL
SELECT tables.relname, 'index ' || replace(pg_get_indexdef(indexrelid), %(schema)s || '.', '')
FROM tables JOIN pg_index ON indrelid = tables.oid
UNION ALL
SELECT relname, 'policy ' || polname || ' ' || polcmd::text || ' ' || ARRAY(
           SELECT rolname FROM pg_roles WHERE pg_roles.oid = ANY (polroles) ORDER BY rolname)::text
       || coalesce(' USING ' || pg_get_expr(polqual, polrelid), '')
       || coalesce(' CHECK ' || pg_get_expr(polwithcheck, polrelid), '')
FROM tables JOIN pg_policy ON polrelid = tables.oid
UNION ALL
SELECT relname, 'trigger ' || replace(pg_get_triggerdef(t.oid), %(schema)s || '.', '')
FROM tables JOIN pg_trigger t ON tgrelid = tables.oid AND NOT tgisinternal
UNION ALL
SELECT proname || '()', 'function ' || pg_get_function_identity_arguments(oid) || ' '
       || pg_get_function_result(oid) || ' ' || md5(prosrc) || coalesce(' ' || proconfig::text, '')
FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
UNION ALL
-- Only missing grants count as differences, see `_differences`.
SELECT granted.relname, 'grant ' || privilege_type || ' to ' || rolname
FROM (SELECT tables.relname, (aclexplode(relacl)).* FROM tables JOIN pg_class USING (oid)) AS granted
JOIN pg_roles ON pg_roles.oid = grantee AND rolname IN ('anon', 'authenticated', 'snuggles_user', 'service_role')
UNION ALL
SELECT granted.relname, 'grant ' || privilege_type || ' (' || attname || ') to ' || rolname
FROM (SELECT relname, attname, (aclexplode(attacl)).* FROM tables JOIN pg_attribute ON attrelid = tables.oid) AS granted
JOIN pg_roles ON pg_roles.oid = grantee AND rolname IN ('anon', 'authenticated', 'snuggles_user', 'service_role')
UNION ALL
SELECT proname || '()', 'grant ' || privilege_type || ' to ' || rolname
FROM (
    SELECT proname, (aclexplode(proacl)).* FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
) AS granted
JOIN pg_roles ON pg_roles.oid = grantee AND rolname IN ('anon', 'authenticated', 'snuggles_user', 'service_role')
"""


class SchemaDiffersError(Exception):
    """The schema matches no number of migrations; the message names the first differences."""


class Thing(Struct, frozen=True, order=True):
    """One fact about a table or function, such as a column of it."""

    owner: str
    fact: str

    @property
    def is_grant(self) -> bool:
        """Whether it is a privilege."""
        return self.fact.startswith("grant ")


def count_applied(connection: psycopg.Connection[TupleRow], files: Sequence[Path]) -> int:
    """Return how many of the files, in order, make the schema `public` as it is.

    `connection` belongs to the owner of the tables and is in autocommit mode. SchemaDiffersError when no number of
    files does, or when this cannot be tried, for example because the owner must not create schemas.
    """
    try:
        with connection.transaction(force_rollback=True):
            found = _catalogue(connection, "public")
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(REHEARSAL)))
            stages = []
            for file in files:
                _set_search_path(connection, REHEARSAL)
                connection.execute(file.read_bytes())
                stages.append(_catalogue(connection, REHEARSAL))
    except psycopg.Error as error:
        raise SchemaDiffersError(f"the comparison failed: {error.diag.message_primary or error}") from error
    ours = {thing.owner for stage in stages for thing in stage}
    found = {thing for thing in found if thing.owner in ours}
    for number in range(len(stages), 0, -1):
        if not _differences(found, stages[number - 1]):
            return number
    nearest = min((_differences(found, stage) for stage in stages), key=len)
    more = f", and {len(nearest) - MAX_DIFFERENCES} more" if len(nearest) > MAX_DIFFERENCES else ""
    raise SchemaDiffersError(f"{'; '.join(nearest[:MAX_DIFFERENCES])}{more}")


def _differences(found: set[Thing], wanted: set[Thing]) -> list[str]:
    missing = [f"{thing.owner} lacks {thing.fact}" for thing in sorted(wanted - found)]
    extra = [f"{thing.owner} also has {thing.fact}" for thing in sorted(found - wanted) if not thing.is_grant]
    return missing + extra


def _set_search_path(connection: psycopg.Connection[TupleRow], schema: str) -> None:
    connection.execute("SELECT set_config('search_path', %s, true)", (schema,))


def _catalogue(connection: psycopg.Connection[TupleRow], schema: str) -> set[Thing]:
    _set_search_path(connection, schema)
    return {Thing(owner, fact) for owner, fact in connection.execute(CATALOGUE, {"schema": schema})}
