"""The pages have a word, in each language, for each part of a score."""

import re
from pathlib import Path

import pytest

from pipeline.types import SIGNALS

TEXTS = Path(__file__).parents[2] / "web" / "src" / "text"
LANGUAGES = sorted(path.name for path in TEXTS.iterdir() if path.is_dir())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_of_a_score_has_a_name_and_a_reason(language: str) -> None:
    words = (TEXTS / language / "recording.ts").read_text()

    def keys(opening: str) -> set[str]:
        return set(re.findall(r"^ +(\w+): '", words.partition(opening)[2].partition("}")[0], re.MULTILINE))

    assert keys("  signals: {") == {*SIGNALS, "base"}
    assert keys("const heard: ") | keys("const because: ") == set(SIGNALS)
