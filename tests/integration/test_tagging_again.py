"""A recording that one tagger has listened to is listened to again by a job once another one is asked for."""

from pathlib import Path

from support.servers.fleet import Fleet, add_recording, add_user, make_media, rows, wait_for

from db.connection import SERVICE, Database
from db.jobs import Job
from pipeline.listening.timeline_file import Timeline
from pipeline.types import BUILTIN_TAGGER
from services.jobs import service as jobs
from services.jobs.payload import ScoreOptions
from services.process.settings import Settings
from services.recordings import highlights
from storage.factory import Buckets

RECORDING = "SELECT * FROM recordings WHERE id = %(id)s"
READY = f"{RECORDING} AND status = 'ready'"
ENDED = "SELECT * FROM jobs WHERE id = %(id)s AND finished_at IS NOT NULL"


def test_recording_of_another_tagger_is_listened_to_again_by_the_job(
    settings: Settings, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    user_id = add_user(database)
    recording_id = add_recording(database, buckets.recordings, user_id, make_media(tmp_path / "talk.mp4"))

    def ask() -> object:
        with database.transaction(SERVICE) as tx:
            return highlights.score(
                tx, user_id=user_id, recording_id=recording_id, options=ScoreOptions(), tagger=BUILTIN_TAGGER
            )

    with Fleet(settings, tmp_path) as fleet:
        fleet.dispatcher()
        fleet.worker()
        with database.transaction(SERVICE) as tx:
            jobs.enqueue(tx, kind="ingest", user_id=user_id, recording_id=recording_id)
        before = wait_for(lambda: rows(database, READY, id=recording_id), what="ready")[0]
        assert before["tagger"] == BUILTIN_TAGGER
        assert not isinstance(ask(), Job), "its own tagger's scores need no job"
        another = "UPDATE recordings SET tagger = 'another-1' WHERE id = %(id)s RETURNING id"
        rows(database, another, id=recording_id)
        buckets.recordings.delete([before["timeline_key"]])  # so that reading the old timeline fails
        job = ask()
        assert isinstance(job, Job)
        assert wait_for(lambda: rows(database, ENDED, id=job.id), what="the end")[0]["state"] == "succeeded"
        after = rows(database, RECORDING, id=recording_id)[0]
        assert not isinstance(ask(), Job), "the job has answered for this tagger"
    assert after["tagger"] == BUILTIN_TAGGER
    assert after["timeline_key"] != before["timeline_key"]
    assert after["tags_key"] != before["tags_key"]
    buckets.recordings.get_file(after["timeline_key"], tmp_path / "timeline")
    assert Timeline.load(tmp_path / "timeline").tagger == BUILTIN_TAGGER
    assert after["waveform_key"] == before["waveform_key"]
