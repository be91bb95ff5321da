import importlib
import pkgutil
import re
from collections.abc import Iterator

import psycopg
import pytest

import db

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
