"""The contract of every audio tagger, and what wrong model files are told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.media.audio import applause, mixed, speech

from pipeline.errors import MediaError
from pipeline.listening import timeline_file
from pipeline.listening.tagging.load import load_tagger
from pipeline.listening.tagging.tagger import GROUPS, LOGIT_LIMIT, ROW_SAMPLES, Tagger, TagStream, row_count
from pipeline.listening.timeline_builder import TimelineBuilder
from pipeline.listening.timeline_file import Timeline
from pipeline.types import BUILTIN_TAGGER, name_tagger

MODELS = [folder / "shared" / "models" / "yamnet.tflite" for folder in Path(__file__).resolve().parents]
MODEL = next(filter(Path.exists, MODELS), MODELS[-1])
SOUND = mixed(speech(40.0, seed=5), (20.0, applause(6.0)))
needs_yamnet = pytest.mark.skipif(not MODEL.exists(), reason="the model for tests is not on this machine")


@pytest.fixture(scope="module", params=["built-in", pytest.param("yamnet", marks=needs_yamnet)])
def tagger(request: pytest.FixtureRequest) -> Tagger:
    return load_tagger(MODEL if request.param == "yamnet" else None)


def rows_of(tagger: Tagger, sound: np.ndarray) -> np.ndarray:
    stream = TagStream(tagger)
    stream.push(sound.astype(np.float32))
    return stream.rows(row_count(len(sound) / 16_000))


def test_rows_are_finite_logits_one_for_each_half_second(tagger: Tagger) -> None:
    rows = rows_of(tagger, SOUND)
    assert rows.shape == (-(-len(SOUND) // ROW_SAMPLES), len(GROUPS))
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() <= LOGIT_LIMIT


def test_sound_in_portions_gives_the_same_rows_to_the_bit(tagger: Tagger) -> None:
    whole = rows_of(tagger, SOUND)
    stream = TagStream(tagger)
    for first in range(0, len(SOUND), 37_123):
        stream.push(SOUND[first : first + 37_123].astype(np.float32))
        stream.rows(5)
    assert np.array_equal(stream.rows(len(whole)), whole)


def test_early_rows_do_not_change_when_more_is_heard(tagger: Tagger) -> None:
    stream = TagStream(tagger)
    stream.push(SOUND[: 30 * 16_000].astype(np.float32))
    early = stream.rows(50)
    assert np.array_equal(early, rows_of(tagger, SOUND)[:50])


def test_applause_is_heard_where_it_is(tagger: Tagger) -> None:
    rows = rows_of(tagger, SOUND)[:, GROUPS.index("applause")]
    clapping = rows[round(21 / 0.48) : round(25 / 0.48)].mean()
    assert clapping > max(rows[: round(18 / 0.48)].mean(), rows[round(29 / 0.48) :].mean()) + 2.0


def test_silence_and_steady_noise_are_no_highlight(tagger: Tagger) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(20 * 16_000)
    for sound in (np.zeros(20 * 16_000), noise, np.full(20 * 16_000, 0.5), np.sign(noise)):
        assert rows_of(tagger, sound)[:, :5].max() < 0.0


def test_timeline_keeps_the_rows_in_its_file(tagger: Tagger, tmp_path: Path) -> None:
    builder = TimelineBuilder(tagger=tagger)
    builder.push(SOUND, rate=16_000)
    timeline = builder.finish()
    timeline.save(tmp_path / "timeline")
    loaded = Timeline.load(tmp_path / "timeline")
    assert loaded.tagger == tagger.name
    assert np.array_equal(loaded.tags, timeline.tags)
    assert loaded.tags.shape == (row_count(timeline.duration_s), len(GROUPS))


def test_timeline_of_a_tagger_with_other_groups_is_read_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = TimelineBuilder()
    builder.push(SOUND, rate=16_000)
    timeline = builder.finish()
    told = (
        np.linspace(-9.0, 2.0, row_count(timeline.duration_s) * 2, dtype=np.float16).astype(np.float32).reshape(-1, 2)
    )
    monkeypatch.setattr(timeline_file, "GROUPS", ("weather", "laughter"))
    replace(timeline, tags=told, tagger="built-in-0").save(tmp_path / "timeline")
    monkeypatch.undo()
    loaded = Timeline.load(tmp_path / "timeline")
    assert np.array_equal(loaded.tags[:, GROUPS.index("weather")], told[:, 0])
    assert np.array_equal(loaded.tags[:, GROUPS.index("laughter")], told[:, 1])
    assert (loaded.tags[:, GROUPS.index("applause")] == -LOGIT_LIMIT).all()


def test_taggers_are_named_by_what_they_are_made_of() -> None:
    assert load_tagger().name == name_tagger(None) == BUILTIN_TAGGER
    assert name_tagger(b"one") != name_tagger(b"another")


def truncated(path: Path) -> None:
    path.write_bytes(MODEL.read_bytes()[:100_000] if MODEL.exists() else b"\0\0\0\0TFL3")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda _: None, "cannot be read"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.write_bytes(b""), "not a TensorFlow Lite model"),
        (lambda path: path.write_bytes(b"PK\3\4" * 100), "not a TensorFlow Lite model"),
        (truncated, "damaged or not a model"),
        (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(200)), "damaged or not a model"),
    ],
    ids=["missing", "folder", "empty", "foreign", "truncated", "header alone"],
)
def test_wrong_model_file_gets_one_sentence(make: Callable[[Path], object], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    make(path)
    with pytest.raises(MediaError, match=sentence) as caught:
        load_tagger(path)
    assert caught.value.code == "tagger_unusable"
    assert "\n" not in caught.value.message
