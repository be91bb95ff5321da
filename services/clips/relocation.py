"""Moves the objects of a clip to other keys, so that known public addresses stop working.

Needed with a public CDN (`CLIPS_PUBLIC_BASE_URL`), whose addresses have no signature.
"""

import secrets
from typing import Any
from uuid import UUID

from db import clip_states as rows
from db import clips as clip_rows
from db import renders as render_rows
from db.clips import Clip
from db.connection import Transaction, as_service
from services.jobs import service as jobs
from services.jobs.payload import DeleteObjectsPayload, RelocateClipPayload
from storage.keys import clip_key, clip_prefix

LEAST_FOLDER, FOLDERS = 10**9, 10**18
"""Objects move to a folder with a random number of 60 bits, which cannot be guessed. Attempts have lower numbers."""


def queue(tx: Transaction, clip: Clip) -> None:
    """Queue the move of a clip's current objects, once."""
    if clip.status != "completed" or not clip.objects:
        return
    payload = RelocateClipPayload(clip_id=clip.id, objects=clip.objects)
    with as_service(tx):
        jobs.enqueue(tx, kind="relocate_clip", user_id=None, payload=payload, max_attempts=20)


def find(tx: Transaction, payload: RelocateClipPayload) -> Clip | None:
    """Return the clip if its objects are still those that must move (service transaction)."""
    owner = clip_rows.find_owner(tx, clip_id=payload.clip_id)
    clip = clip_rows.find_clip(tx, user_id=owner, clip_id=payload.clip_id) if owner is not None else None
    return clip if clip is not None and clip.status == "completed" and clip.objects == payload.objects else None


def new_objects(clip: Clip) -> dict[str, dict[str, Any]]:
    """Return the objects of a clip with keys in a new folder, whose name nobody can guess."""
    folder = LEAST_FOLDER + secrets.randbelow(FOLDERS)
    render_id = clip.render_id or clip.id
    return {
        name: {**stored, "key": clip_key(clip.user_id, render_id, folder, stored["key"].rpartition("/")[2])}
        for name, stored in clip.objects.items()
    }


def change(tx: Transaction, *, clip_id: UUID, before: dict[str, Any], objects: dict[str, Any]) -> bool:
    """Store new keys for a clip and those that share its render; False if the objects changed meanwhile."""
    render_rows.lock_of_clip(tx, clip_id=clip_id)
    return bool(rows.relocate(tx, clip_id=clip_id, before=before, objects=objects))


def abandon(tx: Transaction, clip: Clip) -> None:
    """Queue the deletion of the objects that no clip of this render refers to (service transaction)."""
    prefix = clip_prefix(clip.user_id, clip.render_id or clip.id)
    jobs.enqueue(tx, kind="delete_objects", user_id=None, payload=DeleteObjectsPayload(bucket="clips", prefix=prefix))
