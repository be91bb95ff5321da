from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.media.audio import applause, mixed, rain, speech

from pipeline.listening.detect import OptionsError, detect, score_curve, signal_names
from pipeline.listening.detection.measures import smoothed_level_db
from pipeline.listening.listen import Timeline, TimelineBuilder
from pipeline.listening.tagging.builtin import BuiltinTagger
from pipeline.types import SIGNALS, DetectOptions, Highlight

EVENTS = ((40.0, 6.0), (95.0, 4.0), (150.0, 5.0))
"""Start and length of each applause."""


@cache
def talk(*, gain: float = 1.0, hiss: float = 0.0, step: float = 1.0) -> Timeline:
    """Return three minutes of talk with three applauses, at some gain, over some noise, louder from the middle on."""
    sound = mixed(speech(180.0, seed=5), *((start, applause(length, seed=int(start))) for start, length in EVENTS))
    sound = sound + hiss * np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    sound[len(sound) // 2 :] *= step
    builder = TimelineBuilder(tagger=BuiltinTagger())
    builder.push(sound * np.float32(gain), rate=16_000)
    return builder.finish()


def hits(found: list[Highlight]) -> list[bool]:
    return [any(h.core_start_s <= start + length / 2 <= h.core_end_s for h in found) for start, length in EVENTS]


@pytest.mark.parametrize(
    "conditions",
    [{}, {"gain": 0.03}, {"gain": 4.0}, {"step": 4.0}, {"step": 0.2}, {"hiss": 0.01}],
    ids=["plain", "quiet", "overdriven", "gain up", "gain down", "noise floor"],
)
def test_applause_is_found_whatever_the_recording_level(conditions: dict[str, float]) -> None:
    found = detect(talk(**conditions), DetectOptions(sensitivity=0.0))
    assert hits(found[:3]) == [True, True, True]
    assert found[2].score > 0.5


@pytest.mark.xfail(
    reason="generated showers score 0.54 to 0.70 (applause of the same three seeds 0.85 to 0.93): at most the usual "
    "0.7, but not under 0.5. The tagger hears rain (logit -1 to -2), and a laugh (-3) in the talk under it",
    strict=True,
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shower_of_rain_is_no_highlight(seed: int) -> None:
    shower = rain(6.0, seed=seed)
    builder = TimelineBuilder(tagger=BuiltinTagger())
    builder.push(mixed(speech(180.0, seed=5), (60.0, shower), (120.0, shower), kept=1.0), rate=16_000)
    assert detect(builder.finish(), DetectOptions(sensitivity=0.5)) == []


def test_talk_alone_has_no_strong_highlight() -> None:
    builder = TimelineBuilder(tagger=BuiltinTagger())
    builder.push(speech(180.0, seed=8), rate=16_000)
    assert detect(builder.finish(), DetectOptions(sensitivity=0.7)) == []


def test_applause_is_celebration() -> None:
    found = detect(talk(), DetectOptions(top=3, sensitivity=0.5))
    assert [h.kind for h in found] == ["celebration"] * 3
    assert all(0.4 < h.kind_confidence <= 1.0 for h in found)


def test_core_fits_the_event_and_the_span_leads_in_and_dies_away() -> None:
    for highlight in detect(talk(), DetectOptions(top=3, sensitivity=0.5)):
        start, length = min(EVENTS, key=lambda event: abs(event[0] - highlight.core_start_s))
        assert highlight.core_start_s == pytest.approx(start, abs=1.0)
        assert highlight.core_end_s == pytest.approx(start + length, abs=1.0)
        assert 1.5 <= highlight.core_start_s - highlight.start_s <= 4.0
        assert 0.5 <= highlight.end_s - highlight.core_end_s <= 3.0
        assert highlight.core_start_s <= highlight.peak_s < highlight.core_end_s


def test_edges_fall_into_the_quietest_place_near() -> None:
    timeline = talk()
    level = smoothed_level_db(timeline)
    for highlight in detect(timeline, DetectOptions(top=3, sensitivity=0.5)):
        start, core = round(highlight.start_s * 10), round(highlight.core_start_s * 10)
        assert level[start] == level[core - 25 : core - 14].min()
        stop, core = round(highlight.end_s * 10), round(highlight.core_end_s * 10)
        assert level[stop] == level[core + 5 : core + 16].min()


def test_contributions_sum_to_the_score() -> None:
    for highlight in detect(talk(), DetectOptions(sensitivity=0.0, weights={"loudness": 1.7, "novelty": 0.0})):
        assert sum(r.contribution for r in highlight.reasons) == pytest.approx(highlight.score, abs=1e-9)
        assert {r.signal for r in highlight.reasons} <= {"base", *signal_names()}
        assert "novelty" not in {r.signal for r in highlight.reasons}
        assert {r.weight for r in highlight.reasons if r.signal == "loudness"} <= {1.7}


def test_same_input_gives_the_same_output() -> None:
    options = DetectOptions(sensitivity=0.1)
    assert detect(talk(), options) == detect(talk(), options)


def test_higher_sensitivity_leaves_out_and_changes_nothing_else() -> None:
    everything = detect(talk(hiss=0.01), DetectOptions(sensitivity=0.0))
    for least in (0.1, 0.5, 0.7, 0.9):
        expected = [h for h in everything if h.score >= least]
        assert detect(talk(hiss=0.01), DetectOptions(sensitivity=least)) == expected
    assert detect(talk(hiss=0.01), DetectOptions(sensitivity=0.0, top=2)) == everything[:2]


def test_types_list_the_signals_of_the_model() -> None:
    assert signal_names() == list(SIGNALS)


@settings(max_examples=12, deadline=None)
@given(
    min_s=st.floats(1, 60),
    extra_s=st.floats(0, 120),
    weights=st.dictionaries(st.sampled_from(signal_names()), st.floats(0, 3)),
)
def test_spans_keep_limits_and_never_overlap(min_s: float, extra_s: float, weights: dict[str, float]) -> None:
    max_s = min(300.0, min_s + extra_s)
    found = detect(talk(), DetectOptions(sensitivity=0.0, min_s=min_s, max_s=max_s, weights=weights))
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for h in found:
        assert min_s - 0.1 <= h.end_s - h.start_s <= max_s + 1e-6
        assert 0.0 <= h.start_s <= h.core_start_s <= h.peak_s < h.core_end_s <= h.end_s <= 180.0
        assert 0.0 <= h.score <= 1.0
    by_time = sorted(found, key=lambda h: h.start_s)
    assert all(a.end_s <= b.start_s for a, b in pairwise(by_time))


def test_recording_shorter_than_the_least_length_is_taken_whole() -> None:
    builder = TimelineBuilder(tagger=BuiltinTagger())
    builder.push(mixed(speech(4.0), (1.0, applause(2.0))), rate=16_000)
    for highlight in detect(builder.finish(), DetectOptions(sensitivity=0.0, min_s=30.0)):
        assert (highlight.start_s, highlight.end_s) == (0.0, 4.0)


@pytest.mark.parametrize("duration_s", [0.0, 0.1, 0.5, 3.0, 600.0])
def test_silence_has_no_highlights(duration_s: float) -> None:
    assert detect(Timeline.silent(duration_s), DetectOptions(sensitivity=0)) == []
    assert len(score_curve(Timeline.silent(duration_s))) == Timeline.silent(duration_s).rows


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0, 7.0])
def test_very_short_sound_is_no_trouble(seconds: float) -> None:
    builder = TimelineBuilder(tagger=BuiltinTagger())
    builder.push(applause(2.0)[: int(seconds * 16_000)], rate=16_000)
    for highlight in detect(builder.finish(), DetectOptions(sensitivity=0.0)):
        assert highlight.end_s <= seconds + 0.01


def test_live_snapshots_end_as_one_pass() -> None:
    sound = mixed(speech(90.0, seed=5), (40.0, applause(6.0)))
    live = TimelineBuilder(tagger=BuiltinTagger())
    provisional: list[Highlight] = []
    for first in range(0, len(sound), 20 * 16_000):
        live.push(sound[first : first + 20 * 16_000], rate=16_000)
        provisional = detect(live.snapshot(), DetectOptions(sensitivity=0.5))
    whole = TimelineBuilder(tagger=BuiltinTagger())
    whole.push(sound, rate=16_000)
    expected = detect(whole.finish(), DetectOptions(sensitivity=0.0))
    assert detect(live.finish(), DetectOptions(sensitivity=0.0)) == expected
    assert provisional[0].core_start_s == pytest.approx(40.0, abs=1.0)


def test_score_curve_is_high_at_events_and_low_between() -> None:
    curve = score_curve(talk())
    assert curve.dtype == np.float32
    assert 0.0 <= curve.min() <= curve.max() <= 1.0
    assert curve[410:450].mean() > 0.3
    assert curve[100:380].mean() < 0.05


def test_silenced_signal_changes_scores() -> None:
    plain = detect(talk(), DetectOptions(top=1))[0]
    without = detect(talk(), DetectOptions(top=1, sensitivity=0.0, weights={plain.reasons[0].signal: 0.0}))[0]
    assert without.score < plain.score


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"volume": 1.0}, "There is no signal named 'volume'"),
        ({"loudness": -1.0}, "must be a number from 0"),
        ({"loudness": float("nan")}, "must be a number from 0"),
        ({"loudness": float("inf")}, "must be a number from 0"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float], sentence: str) -> None:
    with pytest.raises(OptionsError, match=sentence):
        detect(talk(), DetectOptions(weights=weights))


def test_least_length_over_the_greatest_is_refused() -> None:
    with pytest.raises(OptionsError, match="min_s"):
        detect(talk(), DetectOptions(min_s=60.0, max_s=10.0))
