"""What end-to-end tests share."""

import subprocess
from pathlib import Path

import pytest
from command import Snuggles, run_snuggles
from swift_server import swift_server

from cli.sample import write_sample

__all__ = ["swift_server"]


@pytest.fixture
def snuggles(tmp_path: Path) -> Snuggles:
    """Run the command in the test's own folder; returns what `subprocess.run` does."""

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        return run_snuggles(*arguments, folder=tmp_path, **options)

    return run


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's recording of three minutes."""
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    write_sample(path)
    return path
