"""The count after a storm: everything that was accepted has ended, once, and nothing is left over."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from support.api.receiver import Received
from support.chaos.owner import EVENTS, Owner
from support.chaos.site import Pulse, Site
from support.servers.fleet import family, rows
from support.servers.processes import all_gone

from db.connection import SERVICE
from services.jobs import schedule as schedules
from services.jobs import service as jobs
from services.outbound.fetch import SafeFetcher
from workers.actors.housekeeping import HOUSEKEEPING
from workers.children.launcher import Launcher
from workers.completer import Completer
from workers.execution import execute
from workers.lease_renewer import Identity, LeaseRenewer
from workers.queue.slots import SlotLimit
from workers.runtime import Runtime
from workers.scratch import Scratch

OPEN = "SELECT id, kind, state FROM jobs WHERE state IN ('queued', 'running')"
PENDING = "SELECT id FROM webhook_deliveries WHERE status = 'pending'"
HURRY = (
    "UPDATE jobs SET run_at = now() WHERE state = 'queued' AND run_at > now() AND kind <> ALL(%(later)s) RETURNING id"
)
WAKE = "UPDATE webhooks SET resting_until = now() WHERE resting_until > now() RETURNING id"
AGE_UPLOADS = (
    "UPDATE recordings SET created_at = created_at - interval '2 days' WHERE status = 'uploading' RETURNING id"
)
HELD = "SELECT job_id FROM quota_holds WHERE state = 'held'"
SWEEPS = ("sweep_uploads", "sweep_objects", "cleanup_clips", "reset_quotas")
LATER = timedelta(days=2)
CLIP_ENDS = {"completed": "succeeded", "failed": "failed"}

log = structlog.get_logger(__name__)


def settle(site: Site, pulse: Pulse) -> None:
    """Let everything come to its end; pauses between attempts are passed over."""
    with site.database.transaction(SERVICE) as tx:
        for schedule in schedules.list_schedules(tx):
            schedules.pause(tx, name=schedule.name, is_paused=True)

    def is_quiet(later: Iterable[str]) -> bool:
        for statement in (HURRY, WAKE):
            site.rows(statement, **({"later": list(later)} if statement is HURRY else {}))
        still = [row for row in rows(site.database, OPEN) if row["kind"] not in later]
        return not still and not rows(site.database, PENDING)

    pulse.wait(lambda: is_quiet(["delete_objects"]), "the end of all jobs")
    pulse.wait(lambda: is_quiet([]), "the end of the last deletions")


def sweep_in_two_days(site: Site) -> None:
    """Run the sweeps of the schedules as they will run in two days; they are to find no hold that was forgotten."""
    assert rows(site.database, HELD) == []
    rows(site.database, AGE_UPLOADS)
    worker_id = uuid4()
    identity = Identity(worker_id=worker_id, version="1", queues=["housekeeping"], slots=1)
    corner = Scratch(site.folder / "sweeper", "worker")
    swept = []
    runtime = Runtime(
        worker_id=worker_id,
        database=site.database,
        buckets=site.buckets,
        fetcher=SafeFetcher(),
        scratch=corner,
        lease_renewer=LeaseRenewer(site.database, identity),
        completer=Completer(site.database, worker_id),
        slots=SlotLimit(1),
        launcher=Launcher(),
        threads=1,
        recording_max_bytes=10**9,
        clock=lambda: datetime.now(UTC) + LATER,
    )
    for kind in SWEEPS:
        with site.database.transaction(SERVICE) as tx:
            job = jobs.enqueue(tx, kind=kind, user_id=None)
            sent = tx.execute(
                "UPDATE jobs SET dispatched_at = now(), dispatch_no = dispatch_no + 1 WHERE id = %s "
                "RETURNING dispatch_no",
                (job.id,),
            ).fetchone()
        assert sent is not None
        execute(runtime, job.id, sent["dispatch_no"], HOUSEKEEPING)
        swept += rows(site.database, "SELECT kind, state, result, error FROM jobs WHERE id = %(id)s", id=job.id)
    corner.close()
    log.info("swept", jobs=swept)
    assert [row["state"] for row in swept] == ["succeeded"] * len(SWEEPS), swept


def assert_all_is_counted(site: Site, owners: list[Owner]) -> dict[str, int]:
    """Compare promises, rows and objects, and change nothing; return how many jobs ended how."""
    assert_jobs_have_ended(site, owners)
    assert_clips_are_there_once(site, owners)
    assert_quotas_add_up(site, owners)
    assert_told_in_order(site)
    assert_nothing_is_unnamed(site)
    states = rows(site.database, "SELECT state, count(*) AS n FROM jobs GROUP BY state")
    return {row["state"]: row["n"] for row in states}


def assert_jobs_have_ended(site: Site, owners: list[Owner]) -> None:
    found = {str(row["id"]): row for row in rows(site.database, "SELECT * FROM jobs")}
    assert {row["state"] for row in found.values()} <= {"succeeded", "failed", "cancelled"}
    assert not any(row["lease_token"] or row["lease_expires_at"] for row in found.values())
    promised = set().union(*(owner.jobs for owner in owners))
    assert promised - set(found) == set()
    ends = rows(
        site.database,
        "SELECT job_id, count(*) FILTER (WHERE event = 'succeeded') AS well, "
        "count(*) FILTER (WHERE event IN ('failed', 'cancelled')) AS badly FROM job_events GROUP BY job_id",
    )
    assert [row for row in ends if row["well"] + row["badly"] != 1] == []
    bugs = [row["error"] for row in found.values() if row["error"] and row["error"]["code"] == "internal"]
    assert bugs == []


def assert_clips_are_there_once(site: Site, owners: list[Owner]) -> None:
    """One clip a request, ended as its job has, with objects of one attempt."""
    clips = rows(
        site.database,
        "SELECT clips.id, clips.user_id, clips.status, clips.objects, jobs.state, jobs.attempt FROM clips "
        "LEFT JOIN jobs ON jobs.id = clips.job_id",
    )
    by_owner: dict[UUID, set[str]] = defaultdict(set)
    for clip in clips:
        by_owner[clip["user_id"]].add(str(clip["id"]))
        # One that was cancelled may have left a render to those that shared it.
        assert clip["status"] == "cancelled" or CLIP_ENDS[clip["status"]] == clip["state"], clip
        attempts = {entry["key"].split("/")[2] for entry in clip["objects"].values()}
        assert len(attempts) <= 1, clip
        if clip["status"] == "completed":
            assert attempts == {str(clip["attempt"])}, clip
    for owner in owners:
        assert by_owner[owner.user_id] == owner.clips
    recordings = rows(site.database, "SELECT id, user_id, status FROM recordings")
    assert {row["status"] for row in recordings} <= {"ready", "failed", "deleted", "uploading"}
    for owner in owners:
        mine = {row["status"]: row["id"] for row in recordings if str(row["id"]) in owner.recordings}
        assert set(mine) <= {"ready", "failed"}


def assert_quotas_add_up(site: Site, owners: list[Owner]) -> None:
    """Nothing is held, and what was made was counted once."""
    assert rows(site.database, HELD) == []
    used = {
        row["user_id"]: row
        for row in rows(
            site.database, "SELECT user_id, used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'"
        )
    }
    made = rows(site.database, "SELECT user_id, count(*) AS n FROM quota_holds WHERE state = 'done' GROUP BY user_id")
    for row in made:
        owner = next(owner for owner in owners if owner.user_id == row["user_id"])
        count = used.pop(row["user_id"])
        assert count["reserved"] == 0
        assert row["n"] <= count["used"] <= row["n"] + len(owner.deleted_clips)
    assert [row for row in used.values() if row["reserved"]] == []


def assert_told_in_order(site: Site) -> None:
    """Each event reached its owner's webhook, and none overtook another about the same thing."""
    deliveries = rows(
        site.database,
        "SELECT event_id, lane, status FROM webhook_deliveries WHERE replay_of IS NULL ORDER BY lane, seq",
    )
    assert Counter(row["status"] for row in deliveries) == {"delivered": len(deliveries)}
    events = rows(site.database, "SELECT id, type, clip_id, recording_id FROM events")
    assert {row["id"] for row in events if row["type"] in EVENTS} == {row["event_id"] for row in deliveries}
    with site.told.lock:
        received: list[Received] = list(site.told.received)
    told: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for place, request in enumerate(received):
        told[request.body["id"]].append((place, request.status))
    assert set(told) == {str(row["event_id"]) for row in deliveries}
    through: dict[UUID, int] = {}
    for row in deliveries:
        sent = told[str(row["event_id"])]
        assert sent[0][0] > through.get(row["lane"], -1), (row, sent, through)
        through[row["lane"]] = next(place for place, status in sent if status == 204)
    once = Counter((row["recording_id"], row["type"]) for row in events if row["type"] == "recording.ready")
    assert set(once.values()) <= {1}
    made = rows(
        site.database,
        "SELECT clips.id, (SELECT count(*) FROM events WHERE clip_id = clips.id AND type = 'clip.completed') AS told "
        "FROM clips WHERE status = 'completed'",
    )
    assert [row for row in made if row["told"] != 1] == []


def assert_nothing_is_unnamed(site: Site) -> None:
    """What lies in storage is what rows name."""
    clips = rows(site.database, "SELECT objects FROM clips")
    named = {entry["key"] for row in clips for entry in row["objects"].values()}
    assert {stat.key for stat in site.buckets.clips.list_objects("")} == named
    names = ("source_key", "timeline_key", "index_key", "waveform_key", "poster_key", "curve_key", "tags_key")
    recordings = rows(site.database, "SELECT * FROM recordings WHERE status <> 'deleted'")
    asked: set[str] = {row[name] for row in recordings for name in names if row[name]}
    stored = {stat.key for stat in site.buckets.recordings.list_objects("")}
    assert stored - asked == set()
    unfinished = {row["source_key"] for row in recordings if row["status"] == "failed"}
    assert asked - stored - unfinished == set()
    for store in (site.buckets.clips, site.buckets.recordings):
        assert [upload.key for upload in store.list_uploads()] == []


def assert_nothing_runs(site: Site, pulse: Pulse) -> None:
    """No child is left, and no file of one; then all processes leave as they should."""
    pulse.wait(lambda: not site.media_processes(), "the last media children to go")
    alive = {worker.pid for worker in site.workers if worker.poll() is None}
    assert len(alive) == len(site.workers)
    servers = [member for worker in site.workers for member in family(worker)]
    for process in [*site.dispatchers, *site.workers, *site.apis.values()]:
        process.terminate()
    statuses: dict[str, Any] = {}
    for process in [*site.dispatchers, *site.workers, *site.apis.values()]:
        statuses[str(process.args)] = process.wait(60)
    assert set(statuses.values()) == {0}, statuses
    assert all_gone(servers)
    assert list(site.scratch.rglob("*")) == []
