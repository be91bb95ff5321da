"""`docs/access.md`, written from the catalogue and the application."""

from collections.abc import Sequence
from pathlib import Path

from support.access.catalogue import Table
from support.access.routes import Route

PATH = Path(__file__).parents[3] / "docs" / "access.md"
INTRODUCTION = """\
# Access

Who may do what, in SQL and over HTTP. This page is generated: after a migration or a new route run `make access`,
review the change of the page, and commit both together. A test fails while the page and the program differ. It also
checks every line: tables and columns with SELECT, INSERT, UPDATE and DELETE as the owner, another user, anonymously and
without claims; and routes without a login, with API keys, as a user and as an operator.

- **A new table** gets `ENABLE` and `FORCE ROW LEVEL SECURITY`, a policy for `service_role`, and a `FOR SELECT` policy
  for `authenticated` if users may see rows of it. Grant `authenticated` SELECT on the columns that HTTP shows, and
  nothing else. What the API writes for a user it writes as the service (`SERVICE`, `as_service`); where row-level
  security should hold for the write too, grant `snuggles_user` the columns. The test makes a row of each table
  automatically. If a constraint refuses that row, give it values in `tests/support/access/seed.py`. The migrations end
  default privileges that a platform such as Supabase has set for `anon` and `authenticated`.
- **A new route** needs a signed-in user by default. `opt={PUBLIC: True}` opens it to anybody; the guards
  `people_only` and `operators_only` close it to API keys and to all but operators.

## SQL

`authenticated` is any signed-in user who uses SQL directly, as clients of Supabase can. The API acts for a user as
`snuggles_user`, which sees the same rows. Neither sees rows of others, and `anon` reads only where noted.
`service_role` is the system itself: it may do everything except delete from the audit log. "all 9" is all nine columns.

| table | rows | `authenticated` reads | API also reads | API inserts | API updates | API deletes |
| --- | --- | --- | --- | --- | --- | --- |
"""
ROUTES = """
## HTTP

- "user" is a session, a token or an API key (with the scope `read` for GET, `write` for the rest);
- "person" is a user without an API key;
- "operator" is the operator's token or a user with `is_admin`;
- "scraper" is the operator's token, or a client on the same machine that uses no proxy.

Ids of other users answer 404.

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
