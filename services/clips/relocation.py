"""Moves the objects of a clip to other keys, so that public addresses that somebody knows lead nowhere.

Needed where clips are on a public CDN (`CLIPS_PUBLIC_BASE_URL`): an address there needs no signature.
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
"""Objects move to a folder named by a random number above those of attempts; 60 bits cannot be guessed."""


def queue(tx: Transaction, clip: Clip) -> None:
    """Queue the move of a clip's objects, once for those that it has now."""
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
    """Return the objects of a clip with keys in another folder, whose name nobody can guess."""
    folder = LEAST_FOLDER + secrets.randbelow(FOLDERS)
    render_id = clip.render_id or clip.id
    return {
        name: {**stored, "key": clip_key(clip.user_id, render_id, folder, stored["key"].rpartition("/")[2])}
        for name, stored in clip.objects.items()
    }


def change(tx: Transaction, *, clip_id: UUID, before: dict[str, Any], objects: dict[str, Any]) -> bool:
    """Let a clip and those that share its render have other objects; False when they changed meanwhile."""
    render_rows.lock_of_clip(tx, clip_id=clip_id)
    return bool(rows.relocate(tx, clip_id=clip_id, before=before, objects=objects))


def abandon(tx: Transaction, clip: Clip) -> None:
    """Queue the deletion of the objects that no clip of this render refers to (service transaction)."""
    prefix = clip_prefix(clip.user_id, clip.render_id or clip.id)
    jobs.enqueue(tx, kind="delete_objects", user_id=None, payload=DeleteObjectsPayload(bucket="clips", prefix=prefix))
