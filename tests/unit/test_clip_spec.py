from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from api.schemas.clips import OptionsRequest
from db.highlights import HighlightRow
from db.jobs import JobError
from db.recordings import Recording
from pipeline.types import PRESET_OPTIONS
from services.billing.tier import Tier
from services.clips.spec import (
    MAX_CLIP_S,
    MIN_CLIP_S,
    TOLERANCE_S,
    ClipStyle,
    check_times,
    require_probed,
    require_room,
    spec_of,
    spec_of_highlight,
)
from services.errors import ConflictError, InvalidFieldError, NotReadyError

FREE = Tier(name="free", display_name="Free", features={})
PRO = Tier(name="pro", display_name="Pro", features={})
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def recording(**changes: object) -> Recording:
    user_id, recording_id = uuid4(), uuid4()
    given: dict[str, object] = {
        "id": recording_id,
        "user_id": user_id,
        "title": "Talk",
        "filename": "talk.mp4",
        "content_type": "video/mp4",
        "size_bytes": 1,
        "status": "ready",
        "source_key": f"{user_id}/{recording_id}/source",
        "source_url": None,
        "upload_id": None,
        "part_size_bytes": None,
        "duration_s": 600.0,
        "has_audio": True,
        "has_video": True,
        "probe": {},
        "timeline_key": "t",
        "index_key": None,
        "waveform_key": "w",
        "poster_key": None,
        "tagger": None,
        "tags_key": None,
        "curve_key": "c",
        "error": None,
        "created_at": NOW,
        "updated_at": NOW,
        "ready_at": NOW,
    }
    return Recording(**{**given, **changes})


def highlight(start_s: float, end_s: float, peak_s: float) -> HighlightRow:
    return HighlightRow(
        id=uuid4(),
        recording_id=uuid4(),
        start_s=start_s,
        end_s=end_s,
        core_start_s=start_s,
        core_end_s=end_s,
        peak_s=peak_s,
        score=0.9,
        kind="humor",
        kind_confidence=0.9,
        reasons=[],
        created_at=NOW,
    )


@pytest.mark.parametrize(
    ("start_s", "end_s", "field"),
    [
        (-0.001, 10, "start_s"),
        (float("nan"), 10, "start_s"),
        (float("inf"), 10, "start_s"),
        (0, float("nan"), "end_s"),
        (0, float("inf"), "end_s"),
        (0, -5, "end_s"),
        (10, 10, "end_s"),
        (20, 10, "end_s"),
        (0, 4.9, "end_s"),
        (0, 300.1, "end_s"),
        (600, 610, "start_s"),
        (595, 605, "end_s"),
        (1e300, 1e301, "start_s"),
    ],
)
def test_times_that_make_no_clip_are_refused_by_field(start_s: float, end_s: float, field: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_times(start_s, end_s, duration_s=600, tier=PRO)
    assert caught.value.details["field"] == field


def test_end_a_hair_beyond_the_recording_is_pulled_back() -> None:
    assert check_times(590, 600.04, duration_s=600, tier=PRO) == 600


def test_free_tier_is_held_to_two_minutes() -> None:
    assert check_times(0, 120, duration_s=600, tier=FREE) == 120
    with pytest.raises(InvalidFieldError, match="Free tier"):
        check_times(0, 121, duration_s=600, tier=FREE)
    assert check_times(0, 121, duration_s=600, tier=PRO) == 121


@given(
    duration_s=st.floats(MIN_CLIP_S, 20_000),
    position=st.floats(0, 1),
    length_s=st.floats(0.5, 1000),
    peak=st.floats(0, 1),
    tier=st.sampled_from([FREE, PRO]),
)
def test_clip_of_any_highlight_is_allowed_and_keeps_what_it_can(
    duration_s: float, position: float, length_s: float, peak: float, tier: Tier
) -> None:
    start_s = position * duration_s * 0.99
    end_s = min(duration_s, start_s + length_s)
    found = highlight(start_s, end_s, start_s + peak * (end_s - start_s))
    spec = spec_of_highlight(recording(duration_s=duration_s), ClipStyle(), found, number=1, tier=tier)
    longest_s = 120.0 if tier is FREE else MAX_CLIP_S
    assert -1e-9 <= spec.start_s < spec.end_s <= duration_s + 1e-9
    assert MIN_CLIP_S - TOLERANCE_S <= spec.end_s - spec.start_s <= longest_s + TOLERANCE_S
    assert spec.start_s - 1e-6 <= found.peak_s <= spec.end_s + 1e-6
    if MIN_CLIP_S <= end_s - start_s <= longest_s:
        assert (spec.start_s, spec.end_s) == (start_s, end_s)


def test_sound_alone_becomes_an_audiogram() -> None:
    assert spec_of(recording(has_video=False), ClipStyle(), start_s=0, end_s=10).preset == "audiogram"
    assert spec_of(recording(), ClipStyle(), start_s=0, end_s=10).preset == "original"


@pytest.mark.parametrize(
    ("changes", "style", "field"),
    [
        ({"has_audio": False}, ClipStyle(formats=["mp3"]), "formats"),
        ({"has_audio": False}, ClipStyle(preset="audiogram"), "preset"),
        ({"has_video": False}, ClipStyle(preset="vertical"), "preset"),
        ({}, ClipStyle(formats=[]), "formats"),
    ],
)
def test_style_that_the_recording_cannot_have_is_refused(
    changes: dict[str, object], style: ClipStyle, field: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        spec_of(recording(**changes), style, start_s=0, end_s=10)
    assert caught.value.details["field"] == field


def test_request_has_the_options_of_all_presets() -> None:
    options = {name for kind in PRESET_OPTIONS.values() for name in kind.__struct_fields__}
    assert set(OptionsRequest.__struct_fields__) == options


def test_option_of_another_preset_is_refused_by_name() -> None:
    with pytest.raises(
        InvalidFieldError, match="original takes no blurred_sides; use it with vertical or square"
    ) as caught:
        spec_of(recording(), ClipStyle(options={"blurred_sides": True}), start_s=0, end_s=10)
    assert caught.value.details["field"] == "options.blurred_sides"


def test_formats_named_twice_are_made_once() -> None:
    spec = spec_of(recording(), ClipStyle(formats=["mp4", "mp3", "mp4"]), start_s=0, end_s=10)
    assert spec.formats == ["mp4", "mp3"]


def test_recording_on_its_way_is_worth_another_try() -> None:
    for status in ("uploading", "processing"):
        with pytest.raises(NotReadyError) as caught:
            require_probed(recording(status=status, duration_s=None))
        assert caught.value.retryable


def test_failed_recording_says_why() -> None:
    failed = recording(status="failed", duration_s=None, error=JobError(code="empty", message="The file is empty."))
    with pytest.raises(ConflictError, match="The file is empty") as caught:
        require_probed(failed)
    assert not caught.value.retryable


def test_recording_shorter_than_any_clip_is_refused() -> None:
    with pytest.raises(ConflictError, match="shortest clip"):
        require_room(replace(recording(), duration_s=4.0))
