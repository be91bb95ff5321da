"""Documents name files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()}
NAMED = re.compile(r"`([a-z_]+(?:/[a-z0-9_.-]+)+/?)`")
LINKED = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text()
    paths = [ROOT / name for name in NAMED.findall(text) if name.partition("/")[0] in FOLDERS]
    paths += [document.parent / link for link in LINKED.findall(text)]
    missing = [str(path) for path in paths if not path.exists() and not path.with_suffix(".py").exists()]
    assert not missing
