"""Limits travel in the environment."""

import pytest

from pipeline.limits import Limits, from_environment


def test_limits_survive_the_environment() -> None:
    limits = Limits(memory_bytes=10**9, cpu_s=60, file_bytes=10**8, files=64)
    assert from_environment(limits.environment()) == limits
    assert from_environment({}) == Limits()


@pytest.mark.parametrize("text", ["-1", "0", "many", "1.5"])
def test_a_limit_that_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="SNUGGLES_CHILD_CPU_S"):
        from_environment({"SNUGGLES_CHILD_CPU_S": text})
