import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.media.audio import applause, mixed, speech

from pipeline.listening.features import FEATURES
from pipeline.listening.listen import Timeline, TimelineBuilder, TimelineFormatError
from pipeline.listening.tagging.builtin import BuiltinTagger
from pipeline.listening.tagging.tagger import Rows, Samples
from pipeline.types import Problem


def built(samples: np.ndarray, rate: int = 16_000, portion: int | None = None) -> Timeline:
    builder = TimelineBuilder()
    step = portion or max(1, samples.shape[-1])
    for first in range(0, samples.shape[-1], step):
        builder.push(samples[..., first : first + step], rate=rate)
    return builder.finish()


SPOKEN = speech(75.0, seed=3)


@settings(max_examples=12, deadline=None)
@given(
    portions=st.lists(st.integers(1, 200_000), min_size=1, max_size=6), rate=st.sampled_from([8_000, 16_000, 44_100])
)
def test_same_sound_in_any_portions_gives_the_same_timeline(portions: list[int], rate: int) -> None:
    whole = built(SPOKEN, rate)
    builder = TimelineBuilder()
    at, i = 0, 0
    while at < len(SPOKEN):
        step = portions[i % len(portions)]
        builder.push(SPOKEN[at : at + step], rate=rate)
        at, i = at + step, i + 1
        if len(portions) > i > 1:
            builder.snapshot()
    parts = builder.finish()
    assert np.array_equal(parts.features, whole.features)
    assert np.array_equal(parts.peaks, whole.peaks)
    assert parts.duration_s == whole.duration_s


def test_snapshot_holds_what_was_heard_so_far() -> None:
    builder = TimelineBuilder()
    builder.push(SPOKEN[: 16_000 * 50], rate=16_000)
    early = builder.snapshot()
    builder.push(SPOKEN[16_000 * 50 :], rate=16_000)
    whole = builder.finish()
    assert early.duration_s == pytest.approx(50.0)
    settled = early.rows - 10
    assert np.array_equal(early.features[:settled], whole.features[:settled])


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_sample_rate_does_not_change_level_or_length(rate: int) -> None:
    t = np.arange(3 * rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    timeline = built(tone, rate)
    assert timeline.rows == 30
    assert timeline.duration_s == pytest.approx(3.0)
    assert timeline.column("level_db")[5:25] == pytest.approx(-9.03, abs=0.3)
    assert timeline.peaks[5:25] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(32_000),
        np.full(32_000, 0.9),
        np.sign(np.sin(np.arange(32_000))),
        np.full(32_000, 1e30),
        np.full(32_000, np.nan),
        np.where(np.arange(32_000) % 7 == 0, np.inf, -np.inf),
        np.full(32_000, 1e-40),
        np.ones(1),
        np.zeros(0),
    ],
    ids=["silence", "dc", "clipping", "huge", "nan", "inf", "denormal", "one sample", "nothing"],
)
def test_strange_samples_give_finite_features(samples: np.ndarray) -> None:
    timeline = built(samples.astype(np.float32), 48_000)
    assert np.isfinite(timeline.features).all()
    assert np.isfinite(timeline.peaks).all()
    assert timeline.rows == int(np.ceil(len(samples) / 4800))


def test_dc_does_not_count_as_sound() -> None:
    timeline = built(np.full(64_000, 0.9, dtype=np.float32))
    assert timeline.column("level_db")[5:35].max() < -60.0


def test_channels_out_of_phase_are_still_heard() -> None:
    assert built(np.stack((SPOKEN, -SPOKEN))).column("level_db").max() > -30.0


def test_seconds_that_need_care_are_mixed_alike_in_any_portions() -> None:
    stereo = np.stack((SPOKEN, SPOKEN))[:, : 16_000 * 12].copy()
    stereo[1, 16_000 * 3 : 16_000 * 5] *= -1.0  # channels that cancel out
    stereo[0, 16_000 * 7 + 100] = np.inf
    stereo[1, 16_000 * 9] = 1e30
    whole = built(stereo)
    for portion in (16_000, 16_000 * 3 + 7, 999):
        assert np.array_equal(built(stereo, portion=portion).features, whole.features)
    level = whole.column("level_db")
    assert level[32:48].max() > -30.0
    assert np.array_equal(level[:30], built(np.stack((SPOKEN, SPOKEN))[:, : 16_000 * 12]).column("level_db")[:30])


def test_gap_in_time_becomes_silence_and_overlap_is_dropped() -> None:
    builder = TimelineBuilder()
    second = SPOKEN[:16_000]
    builder.push(second, rate=16_000, time_s=0.5)
    builder.push(second, rate=16_000, time_s=4.0)
    builder.push(second, rate=16_000, time_s=4.5)
    timeline = builder.finish()
    assert timeline.duration_s == pytest.approx(5.5)
    level = timeline.column("level_db")
    assert level[0:3].max() < -90.0
    assert level[17:37].max() < -90.0
    assert level[41:54].max() > -40.0


def test_rate_and_layout_may_change_on_the_way() -> None:
    builder = TimelineBuilder()
    builder.push(SPOKEN[:16_000], rate=16_000)
    builder.push(np.stack((SPOKEN[:48_000], SPOKEN[:48_000])), rate=48_000)
    builder.push(SPOKEN[:11_025], rate=11_025)
    assert builder.finish().duration_s == pytest.approx(3.0)


def test_voice_and_applause_differ_as_they_should() -> None:
    timeline = built(mixed(SPOKEN, (40.0, applause(6.0))))
    during, before = slice(415, 445), slice(100, 380)
    assert timeline.column("harmonicity")[during].mean() < 0.6 * timeline.column("harmonicity")[before].mean()
    assert timeline.column("tonality_low")[during].mean() < timeline.column("tonality_low")[before].mean()
    assert timeline.column("gaps")[during].mean() < timeline.column("gaps")[before].mean()


def test_pitch_of_a_tone_is_found() -> None:
    t = np.arange(16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 15))
    timeline = built((0.2 * np.asarray(tone)).astype(np.float32))
    assert 70 * 2 ** timeline.column("pitch_octave")[5] == pytest.approx(220, rel=0.02)


def test_saved_timeline_comes_back_as_it_was(tmp_path: Path) -> None:
    builder = TimelineBuilder(start_s=90.25)
    builder.push(SPOKEN, rate=16_000)
    builder.report(Problem(code="audio_gap", message="1 s is missing", stream=1, time_s=2.0))
    timeline = builder.finish()
    timeline.save(tmp_path / "t")
    loaded = Timeline.load(tmp_path / "t")
    assert np.array_equal(loaded.features, timeline.features)
    assert np.array_equal(loaded.peaks, timeline.peaks)
    assert (loaded.duration_s, loaded.start_s, loaded.names) == (timeline.duration_s, 90.25, FEATURES)
    assert loaded.problems == timeline.problems
    assert (tmp_path / "t").stat().st_size < 3_000_000 * timeline.duration_s / 3600 + 1000


def test_silent_timeline_has_the_length_asked_for() -> None:
    timeline = Timeline.silent(12.34)
    assert (timeline.rows, timeline.duration_s) == (124, 12.34)
    assert timeline.column("level_db").max() == -100.0
    assert Timeline.silent(0.0).rows == 0


def forged(header: bytes, body: bytes = b"", *, version: int = 1) -> bytes:
    return b"SNUGTL" + struct.pack(">HI", version, len(header)) + header + zlib.compress(body)


NAMES = "[" + ",".join(f'"{name}"' for name in FEATURES) + "]"
HEADER = f'{{"rows":%d,"duration_s":%s,"start_s":0,"names":{NAMES},"problems":[]}}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SNUGTL",
        b"PK\x03\x04 not a timeline at all",
        forged(b"{}", version=9),
        forged(b"not json"),
        forged(b'{"rows":"many"}'),
        forged((HEADER % (-1, "0")).encode()),
        forged((HEADER % (10**12, "1e11")).encode()),
        forged((HEADER % (10, "1.0")).encode()),
        forged((HEADER % (10, "1.0")).encode(), bytes(100_000)),
        forged((HEADER % (10, "500")).encode(), bytes(10 * (2 * len(FEATURES) + 1))),
        forged((HEADER % (10, "1.0")).encode(), b"\xff" * (10 * (2 * len(FEATURES) + 1))),
        forged((HEADER % (10, "1.0")).encode())[:-8],
        b"SNUGTL" + struct.pack(">HI", 1, 2**32 - 1),
    ],
)
def test_damaged_or_forged_file_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    with pytest.raises(TimelineFormatError, match=r"analyse the recording again$"):
        Timeline.load(path)


@settings(max_examples=60, deadline=None)
@given(where=st.integers(0, 10_000), value=st.integers(0, 255))
def test_flipped_byte_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, where: int, value: int) -> None:
    path = tmp_path_factory.mktemp("flip") / "t"
    Timeline.silent(5.0).save(path)
    content = bytearray(path.read_bytes())
    content[where % len(content)] = value
    path.write_bytes(bytes(content))
    try:
        timeline = Timeline.load(path)
    except TimelineFormatError:
        return
    assert np.isfinite(timeline.features).all()


def test_days_of_silence_are_tagged_once_and_as_silence() -> None:
    tagged: list[int] = []

    class CountingTagger(BuiltinTagger):
        def tag(self, samples: Samples) -> Rows:
            tagged.append(len(samples))
            return super().tag(samples)

    builder = TimelineBuilder(tagger=CountingTagger())
    for _ in range(300):
        builder.push(np.zeros(16_000, dtype=np.float32), rate=16_000)
    silent = builder.finish()
    assert len(tagged) == 1
    told = BuiltinTagger().tag(np.zeros(tagged[0], dtype=np.float32))
    assert np.allclose(silent.tags[: len(told)], told, atol=0.01)
    assert not silent.peaks.any()
