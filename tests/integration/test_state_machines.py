"""The drawings in docs/state-machines.md, the statements in db/ and the CHECK constraints say the same."""

import importlib
import pkgutil
import re
from pathlib import Path

import psycopg
import pytest

import db

DOCUMENT = Path(__file__).parents[2] / "docs" / "state-machines.md"
MACHINES = {
    "Job": ("jobs", "state"),
    "Recording": ("recordings", "status"),
    "Clip": ("clips", "status"),
    "Poll": ("polls", "status"),
    "Webhook": ("webhooks", "status"),
    "Delivery": ("webhook_deliveries", "status"),
}
ARROW = re.compile(r"^\s+(\w+|\[\*\]) --> (\w+)", re.MULTILINE)


def drawn(title: str) -> set[tuple[str, str]]:
    section = DOCUMENT.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return {(source, target) for source, target in ARROW.findall(section.split("```")[1]) if source != "[*]"}


def drawn_states(title: str) -> set[str]:
    section = DOCUMENT.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    arrows = ARROW.findall(section.split("```")[1])
    return {state for arrow in arrows for state in arrow} - {"[*]"}


def statements() -> list[str]:
    """Every SQL constant of the db package."""
    modules = [importlib.import_module(f"db.{info.name}") for info in pkgutil.iter_modules(db.__path__)]
    return [
        value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and "UPDATE" in value
    ]


def coded(table: str, column: str, states: set[str]) -> set[tuple[str, str]]:
    """What the UPDATEs of a table change, read from their SET and WHERE."""
    found = set()
    for statement in statements():
        update = re.search(rf"UPDATE {table} SET (.*?)\bWHERE\b(.*)", statement, re.DOTALL)  # noqa: S608 - a pattern, not a statement
        target = update and re.search(rf"(?:^|,)\s*{column} = '(\w+)'", update[1])
        if update and target:
            found |= {(source, target[1]) for source in sources(update[2], column, states) if source != target[1]}
    return found


def sources(condition: str, column: str, states: set[str]) -> set[str]:
    one = re.search(rf"\b{column} = '(\w+)'", condition)
    several = re.search(rf"\b{column} IN \(([^)]*)\)", condition)
    excluded = re.search(rf"\b{column} <> '(\w+)'", condition)
    if several:
        return set(re.findall(r"'(\w+)'", several[1]))
    if one:
        return {one[1]}
    assert excluded, f"a change of state without a condition on the old one: {condition}"
    return states - {excluded[1]}


def checked(owner_url: str, table: str, column: str) -> set[str]:
    with psycopg.connect(owner_url) as connection:
        rows = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'",
            (table,),
        ).fetchall()
    lists = [row[0] for row in rows if re.fullmatch(rf"CHECK \(\({column} = ANY \(ARRAY\[[^]]*\]\)\)\)", row[0])]
    assert len(lists) == 1
    return set(re.findall(r"'(\w+)'::text", lists[0]))


@pytest.mark.parametrize("title", MACHINES)
def test_states_drawn_are_the_states_that_the_database_accepts(title: str, owner_url: str) -> None:
    assert drawn_states(title) == checked(owner_url, *MACHINES[title])


@pytest.mark.parametrize("title", MACHINES)
def test_transitions_drawn_are_those_that_statements_make(title: str, owner_url: str) -> None:
    table, column = MACHINES[title]
    assert drawn(title) == coded(table, column, checked(owner_url, table, column))
