"""`docs/access.md`, written from the catalogue and the application."""

from collections.abc import Sequence
from pathlib import Path

from support.access.catalogue import Table
from support.access.routes import Route

PATH = Path(__file__).parents[3] / "docs" / "access.md"
INTRODUCTION = """\
# Access

Who may do what, in SQL and over HTTP. This page is generated: after a migration or a new route run `make access`,
read what changed in it, and commit it with the change. A test fails while the page and the program differ, and tries
every line of it: every table and column with SELECT, INSERT, UPDATE and DELETE as its owner, another user, anonymous
and without claims, and every route as nobody, with API keys, as a user and as an operator.

- **A new table** gets `ENABLE` and `FORCE ROW LEVEL SECURITY`, a policy for `service_role`, and a `FOR SELECT` policy
  for `authenticated` if users may see rows of it. Grant `authenticated` SELECT on the columns that HTTP shows, and
  nothing else. What the API writes for a user it writes as the service (`SERVICE`, `as_service`); where row-level
  security should hold for the write too, grant `snuggles_user` the columns. The test makes a row of each table by
  itself. Where a constraint refuses that row, give it values in `tests/support/access/seed.py`. Default privileges that
  a platform such as Supabase set for `anon` and `authenticated` end with the migrations.
- **A new route** asks for a signed-in user by itself. `opt={PUBLIC: True}` opens it to anybody; the guards
  `people_only` and `operators_only` close it to API keys and to all but operators.

## SQL

`authenticated` is any signed-in user who speaks SQL, as clients of Supabase can. The API acts for a user as
`snuggles_user`, which sees the same rows. Nobody else's rows are seen by either, and `anon` reads only where it says
so. `service_role` is the system itself: it may do everything but delete the audit log. "all 9" is all nine columns.

| table | rows | `authenticated` reads | API also reads | API inserts | API updates | API deletes |
| --- | --- | --- | --- | --- | --- | --- |
"""
ROUTES = """
## HTTP

"user" is a session, a token or an API key (with the scope `read` for GET, `write` for the rest); "person" is a user
without an API key; "operator" is the operator's token or a user with `is_admin`; "scraper" is the operator's token, or
a client on the same machine that comes through no proxy. Ids of others answer 404.

| route | who |
| --- | --- |
"""


def document(tables: Sequence[Table], routes: Sequence[Route]) -> str:
    """Return the page."""
    lines = [INTRODUCTION.rstrip("\n")]
    lines += [_row(table) for table in tables]
    lines.append(ROUTES.rstrip("\n"))
    lines += [f"| `{route.method} {route.path}` | {route.who} |" for route in routes]
    return "\n".join(lines) + "\n"


def _row(table: Table) -> str:
    rows = f"{table.rows} (also `anon`)" if table.anon_reads else table.rows
    cells = (
        f"`{table.name}`",
        rows,
        _columns(table.reads, table),
        _columns([column for column in table.api_reads if column not in table.reads], table),
        _columns(table.api_inserts, table),
        _columns(table.api_updates, table),
        "yes" if table.api_deletes else "",
    )
    return f"| {' | '.join(cells)} |"


def _columns(columns: Sequence[str], table: Table) -> str:
    if len(columns) == len(table.columns):
        return f"all {len(columns)}"
    return ", ".join(columns)
