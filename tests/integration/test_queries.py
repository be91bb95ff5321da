import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

import psycopg
import pytest

import db
from db import clips, recordings
from db.sorting import Sort

STATEMENT = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
PLACEHOLDER = re.compile(r"%\((\w+)\)s|%s")
NO_QUERIES = {"db.connection", "db.migrate"}
"""`migrate` speaks to a database that has no tables yet; `connection` only sets who is asking."""


def modules() -> Iterator[str]:
    for found in pkgutil.iter_modules(db.__path__, "db."):
        if not found.ispkg and found.name not in NO_QUERIES:
            yield found.name


def statements() -> list[tuple[str, str]]:
    found = []
    for module in modules():
        for name, value in vars(importlib.import_module(module)).items():
            if name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                found.append((f"{module}.{name}", value))
    return found


def numbered(statement: str) -> str:
    """Return the statement as PostgreSQL itself takes it, with $1 for the first parameter."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        key = found[1] or f"%{len(names)}"
        return f"${names.setdefault(key, len(names) + 1)}"

    return PLACEHOLDER.sub(number, statement).replace("%%", "%")


@pytest.mark.parametrize(("name", "statement"), statements(), ids=[name for name, _ in statements()])
def test_statement_fits_the_migrated_schema(name: str, statement: str, template_connection: psycopg.Connection) -> None:
    assert name
    with template_connection.transaction():
        template_connection.execute(f"PREPARE checked AS {numbered(statement)}")
        template_connection.execute("DEALLOCATE checked")


def test_queries_were_found() -> None:
    assert len(statements()) > 50


@pytest.mark.parametrize("sort", get_args(Sort))
@pytest.mark.parametrize("table", [clips, recordings])
def test_every_order_of_a_list_is_read_from_an_index(
    table: Any, sort: Sort, template_connection: psycopg.Connection
) -> None:
    after: Any = {"longest": 1.0, "name": "a"}.get(sort, datetime(2026, 1, 1, tzinfo=UTC))
    nothing = {"q": None, "status": None, "recording_id": None}
    values = {"user_id": uuid4(), "limit": 2, "after": after, "after_id": uuid4(), **nothing}
    with template_connection.transaction(force_rollback=True):
        # A table without rows is read as a whole otherwise.
        template_connection.execute("SET LOCAL enable_seqscan = off")
        template_connection.execute("SET LOCAL enable_sort = off")
        rows = template_connection.execute(f"EXPLAIN {table.LISTS[sort]}", values).fetchall()
    plan = "\n".join(str(row) for row in rows)
    assert "Sort" not in plan
    assert "Index Cond" in plan
    assert "ROW(" in plan.split("Index Cond")[1].split("Filter")[0]
