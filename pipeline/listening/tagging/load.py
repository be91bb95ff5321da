"""Loads the tagger: YAMNet if a model is named, else the built-in one."""

from pathlib import Path

from pipeline.listening.tagging.builtin import BuiltinTagger
from pipeline.listening.tagging.tagger import Tagger
from pipeline.listening.tagging.yamnet import Yamnet


def load_tagger(model: str | Path | None = None) -> Tagger:
    """Return the tagger for a model file, or the built-in one for None; MediaError (TAGGER_UNUSABLE) says why not."""
    return Yamnet(Path(model)) if model else BuiltinTagger()
