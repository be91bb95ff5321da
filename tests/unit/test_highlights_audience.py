import numpy as np
import pytest
from support.media.audio import applause, mixed, speech

from pipeline.listening.detect import detect
from pipeline.listening.detection.audience import USUAL_LAG_S, hear_audience
from pipeline.listening.listen import Timeline, TimelineBuilder
from pipeline.types import ActivityEvent, DetectOptions

MOMENTS = (60.0, 140.0, 215.0, 330.0, 420.0, 515.0)


def crowd_reacts(moments: tuple[float, ...], lag_s: float, *, seed: int = 0, each: int = 14) -> list[ActivityEvent]:
    """Return reactions to each moment, late by `lag_s` give or take a second, over a trickle of chat."""
    rng = np.random.default_rng(seed)
    reactions = [
        ActivityEvent(time_s=float(m + lag_s + rng.normal(0, 1.0)), signal="reaction")
        for m in moments
        for _ in range(each)
    ]
    chat = [ActivityEvent(time_s=float(t), signal="message") for t in rng.uniform(0, 600, 60)]
    return reactions + chat


def sound_curve(moments: tuple[float, ...] = MOMENTS) -> np.ndarray:
    curve = np.full(6000, 0.05)
    for m in moments:
        curve[int(m * 10) : int(m * 10) + 40] = 0.9
    return curve


@pytest.mark.parametrize("lag_s", [1.0, 3.5, 8.0, 15.0])
def test_lag_is_estimated_and_undone(lag_s: float) -> None:
    heard = hear_audience(crowd_reacts(tuple(m + 2 for m in MOMENTS), lag_s), sound_curve())
    assert heard.is_estimated
    assert heard.lag_s == pytest.approx(lag_s, abs=0.7)
    for m in MOMENTS:
        assert heard.evidence[int(m * 10) : int(m * 10) + 40].max() > 2.0


def test_lag_is_the_usual_where_nothing_correlates() -> None:
    rng = np.random.default_rng(4)
    chat = [ActivityEvent(time_s=float(t), signal="message") for t in rng.uniform(0, 600, 200)]
    heard = hear_audience(chat, sound_curve())
    assert not heard.is_estimated
    assert heard.lag_s == USUAL_LAG_S


def test_lag_is_the_usual_without_sound() -> None:
    heard = hear_audience(crowd_reacts(MOMENTS, 6.0), np.zeros(6000))
    assert (heard.is_estimated, heard.lag_s) == (False, USUAL_LAG_S)


def test_events_outside_the_recording_or_without_weight_say_nothing() -> None:
    activity = [
        ActivityEvent(time_s=-5.0, signal="mark"),
        ActivityEvent(time_s=1e9, signal="mark"),
        ActivityEvent(time_s=float("nan"), signal="mark"),
        ActivityEvent(time_s=100.0, signal="mark", weight=-3.0),
        ActivityEvent(time_s=100.0, signal="mark", weight=float("inf")),
    ]
    assert not hear_audience(activity, sound_curve()).evidence.any()


def test_audience_alone_makes_engagement() -> None:
    found = detect(Timeline.silent(600.0), DetectOptions(), crowd_reacts(MOMENTS, USUAL_LAG_S))
    assert {h.kind for h in found} == {"engagement"}
    assert len(found) == len(MOMENTS)
    for h in found:
        moment = min(MOMENTS, key=lambda m: abs(m - h.peak_s))
        assert h.peak_s == pytest.approx(moment, abs=2.0)
        assert h.core_end_s - h.core_start_s < 9.0
        assert sum(r.contribution for r in h.reasons) == pytest.approx(h.score, abs=1e-9)
        assert h.reasons[0].signal == "audience"


def a_talk(applauses: tuple[float, ...]) -> Timeline:
    builder = TimelineBuilder()
    builder.push(mixed(speech(240.0, seed=2), *((at, applause(4.0, level=0.05)) for at in applauses)), rate=16_000)
    return builder.finish()


def test_audience_raises_what_it_noticed_and_lowers_what_it_did_not() -> None:
    timeline = a_talk((60.0, 180.0))
    options = DetectOptions(sensitivity=0.0)
    plain = {round(h.peak_s / 60): h for h in detect(timeline, options)[:2]}
    activity = crowd_reacts((62.0,), 4.0, each=25)
    activity += [ActivityEvent(time_s=2.0 * i, signal="message") for i in range(120)]
    both = {round(h.peak_s / 60): h for h in detect(timeline, options, activity)[:2]}
    assert both[1].score > plain[1].score
    assert both[3].score < plain[3].score
    assert {r.signal: r.contribution for r in both[1].reasons}["audience"] > 0.0
    assert {r.signal: r.contribution for r in both[3].reasons}["audience"] < 0.0


def test_silenced_audience_changes_nothing() -> None:
    timeline = a_talk((60.0,))
    activity = crowd_reacts((100.0,), 4.0)
    silenced = detect(timeline, DetectOptions(sensitivity=0.0, weights={"audience": 0.0}), activity)
    assert [h.score for h in silenced] == [h.score for h in detect(timeline, DetectOptions(sensitivity=0.0))]
