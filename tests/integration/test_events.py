"""Which changes of state are events, each once and with what a client needs to know."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from support.servers.fleet import add_user, rows

from db.connection import SERVICE, Database
from services.clips import state as clip_states
from services.jobs.service import JobError
from services.lifecycle import maintenance
from services.recordings import highlights
from services.recordings import service as recordings

ERROR = JobError(code="not_media", message="No media.", remedy="Send some.", retryable=False)
MOMENT = {
    "start_s": 1.0,
    "end_s": 9.0,
    "core_start_s": 2.0,
    "core_end_s": 8.0,
    "peak_s": 5.0,
    "score": 0.9,
    "kind": "humor",
    "kind_confidence": 0.8,
    "reasons": [],
}
OBJECT = {"key": "u/c/1/clip.mp4", "content_type": "video/mp4", "size_bytes": 5, "duration_s": 6.0, "copied_s": 1.0}


@pytest.fixture
def owner(database: Database) -> UUID:
    return add_user(database)


def add_recording(database: Database, owner: UUID, *, status: str = "processing", age: str = "0 s") -> UUID:
    recording_id = uuid4()
    rows(
        database,
        "INSERT INTO recordings (id, user_id, title, filename, content_type, status, source_key, source_url, probe, "
        "duration_s, timeline_key, created_at) "
        "VALUES (%(id)s, %(owner)s, 'Talk', 'talk.mp4', 'video/mp4', %(status)s, %(key)s, 'https://x.org/?sig=1', "
        "'{}', 60, 't', now() - %(age)s::interval) RETURNING id",
        id=recording_id,
        owner=owner,
        status=status,
        key=f"{owner}/{recording_id}/source",
        age=age,
    )
    return recording_id


def add_clip(database: Database, owner: UUID, recording_id: UUID) -> UUID:
    (row,) = rows(
        database,
        "INSERT INTO clips (user_id, recording_id, start_s, end_s, status) "
        "VALUES (%(owner)s, %(recording)s, 1, 7, 'processing') RETURNING id",
        owner=owner,
        recording=recording_id,
    )
    clip_id: UUID = row["id"]
    return clip_id


def recorded(database: Database) -> list[dict[str, Any]]:
    return rows(
        database, "SELECT type, recording_id, clip_id, user_id, data, data::text AS text FROM events ORDER BY seq"
    )


def types(database: Database) -> list[str]:
    return [event["type"] for event in recorded(database)]


def score(database: Database, owner: UUID, recording_id: UUID) -> None:
    """What publishing a detection does."""
    with database.transaction(SERVICE) as tx:
        highlights.replace(tx, recording_id=recording_id, user_id=owner, items=[MOMENT])
        recordings.mark_ready(tx, recording_id=recording_id, curve_key="c")


def test_recording_is_ready_once_and_its_highlights_each_time(database: Database, owner: UUID) -> None:
    recording_id = add_recording(database, owner)
    score(database, owner, recording_id)
    score(database, owner, recording_id)
    assert types(database) == ["highlights.ready", "recording.ready", "highlights.ready"]
    ready = recorded(database)[1]
    assert ready["recording_id"] == recording_id
    assert ready["user_id"] == owner
    assert ready["data"]["recording"]["status"] == "ready"
    assert ready["data"]["recording"]["duration_s"] == 60
    assert recorded(database)[0]["data"]["highlights"] == {"count": 1}


def test_recording_fails_once_with_its_cause(database: Database, owner: UUID) -> None:
    recording_id = add_recording(database, owner)
    for _ in range(2):
        with database.transaction(SERVICE) as tx:
            recordings.fail(tx, recording_id=recording_id, error=ERROR)
    (event,) = recorded(database)
    assert event["type"] == "recording.failed"
    assert event["data"]["recording"]["error"]["code"] == "not_media"
    assert event["data"]["recording"]["error"]["remedy"] == "Send some."


def test_abandoned_upload_is_a_failed_recording(database: Database, owner: UUID) -> None:
    add_recording(database, owner, status="uploading", age="25 h")
    add_recording(database, owner, status="uploading", age="1 h")
    with database.transaction(SERVICE) as tx:
        maintenance.fail_abandoned_uploads(tx)
    assert types(database) == ["recording.failed"]


def test_clip_is_completed_and_expires(database: Database, owner: UUID) -> None:
    clip_id = add_clip(database, owner, add_recording(database, owner))
    with database.transaction(SERVICE) as tx:
        clip_states.publish(tx, clip_id=clip_id, objects={"mp4": OBJECT}, notes=[])
        maintenance.expire_clips(tx)
    assert types(database) == ["clip.completed"]
    rows(database, "UPDATE clips SET expires_at = now() - interval '1 s' RETURNING id")
    for _ in range(2):
        with database.transaction(SERVICE) as tx:
            maintenance.expire_clips(tx)
    completed, expired = recorded(database)
    assert expired["type"] == "clip.expired"
    assert expired["clip_id"] == clip_id
    assert expired["data"]["clip"]["status"] == "expired"
    assert completed["data"]["clip"]["formats"]["mp4"]["size_bytes"] == 5


def test_clip_fails_once(database: Database, owner: UUID) -> None:
    clip_id = add_clip(database, owner, add_recording(database, owner))
    for _ in range(2):
        with database.transaction(SERVICE) as tx:
            clip_states.fail(tx, clip_id=clip_id, error=ERROR)
    assert types(database) == ["clip.failed"]


def test_events_hold_no_keys_and_no_addresses(database: Database, owner: UUID) -> None:
    recording_id = add_recording(database, owner)
    clip_id = add_clip(database, owner, recording_id)
    with database.transaction(SERVICE) as tx:
        clip_states.publish(tx, clip_id=clip_id, objects={"mp4": OBJECT}, notes=[])
    score(database, owner, recording_id)
    with database.transaction(SERVICE) as tx:
        clip_states.fail(tx, clip_id=add_clip(database, owner, recording_id), error=ERROR)
    text = " ".join(event["text"] for event in recorded(database))
    for told in ("https://", "sig=1", "clip.mp4", "/source"):
        assert told not in text
