"""The document on the architecture names files, functions and packages that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
STEPS = re.findall(r"\| `([\w/]+\.py)` \| `(\w+)` \|$", TEXT, re.MULTILINE)
FOLDERS = dict(re.findall(r"^\| `(\w+)` \| (`\w+`.*) \|$", TEXT, re.MULTILINE))
PATHS = sorted(set(re.findall(r"`((?:api|workers|services|db|storage|pipeline|cli|web|tests)/[\w/.]*)`", TEXT)))


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_step_of_the_main_path_exists(file: str, name: str) -> None:
    assert name in names_in(ROOT / file)


def test_main_path_has_steps() -> None:
    assert len(STEPS) > 20


@pytest.mark.parametrize("path", PATHS)
def test_named_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("package", ["cli", "api", "workers", "services", "pipeline"])
def test_every_folder_of_a_package_is_listed(package: str) -> None:
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert folders == set(re.findall(r"`(\w+)`", FOLDERS[package])) - {"site", "snuggles"}
