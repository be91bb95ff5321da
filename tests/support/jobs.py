"""Jobs as a worker holds them, without a database."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from services.jobs.service import Job

NOW = datetime.now(UTC)


def job(**changes: Any) -> Job:
    """A render that was claimed for its first attempt."""
    fields: dict[str, Any] = {
        "id": uuid4(),
        "user_id": uuid4(),
        "owner_key": uuid4(),
        "kind": "render",
        "queue": "render",
        "state": "running",
        "priority": 0,
        "recording_id": None,
        "clip_id": None,
        "payload": {},
        "result": None,
        "error": None,
        "attempt": 1,
        "charged": 1,
        "setbacks": 0,
        "max_attempts": 3,
        "dispatch_no": 1,
        "run_at": NOW,
        "dispatched_at": NOW,
        "lease_token": uuid4(),
        "lease_expires_at": NOW,
        "worker_id": uuid4(),
        "progress": 0.0,
        "stage": None,
        "eta_s": None,
        "cancel_requested_at": None,
        "trace_id": None,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": None,
    }
    return Job(**{**fields, **changes})
