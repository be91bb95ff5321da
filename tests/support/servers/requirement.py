"""What tests need of a machine, and what becomes of them where it is not there."""

import os
from typing import NoReturn

import pytest


def unavailable(what: str) -> NoReturn:
    """Skip where a developer's machine lacks something; CI has no such excuse."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
