"""Copies the objects of a clip to secret keys, and deletes the old ones."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from db.clips import Clip
from db.connection import SERVICE, Transaction
from services.clips import relocation
from services.jobs.payload import RelocateClipPayload, payload_of
from storage.store import ObjectNotFoundError, StorageError, Store
from workers.attempt import Attempt
from workers.completer import Publish, Result
from workers.runtime import Runtime


def relocate_clip(runtime: Runtime, attempt: Attempt) -> Publish:
    """Move a clip's objects: copy them, point the clip to the copies, delete the originals.

    A crash in between leaves copies that the next attempt, or the daily sweep, deletes.
    """
    payload = payload_of(attempt.job, RelocateClipPayload)
    with runtime.database.transaction(SERVICE) as tx:
        clip = relocation.find(tx, payload)
    if clip is None:
        return Result({"moved": 0})
    objects = relocation.new_objects(clip)
    store = runtime.buckets.clips
    _copy(runtime, attempt, clip, objects)
    with runtime.database.transaction(SERVICE) as tx:
        is_changed = relocation.change(tx, clip_id=clip.id, before=clip.objects, objects=objects)
    # A deletion of unused objects of the same render may have begun before the clip referred to the copies.
    if is_changed and not attempt.wait_for(lambda: _are_stored(store, objects)):
        with runtime.database.transaction(SERVICE) as tx:
            relocation.change(tx, clip_id=clip.id, before=objects, objects=clip.objects)
        raise StorageError("The copies of a clip's objects were deleted before the clip referred to them.")

    def publish(tx: Transaction) -> dict[str, Any]:
        relocation.abandon(tx, clip)
        return {"moved": len(objects) if is_changed else 0}

    return publish


def _copy(runtime: Runtime, attempt: Attempt, clip: Clip, objects: Mapping[str, Mapping[str, Any]]) -> None:
    store = runtime.buckets.clips
    with runtime.scratch.folder(f"relocate-{attempt.job.id}-{attempt.job.attempt}") as folder:
        for name, stored in clip.objects.items():
            path, copy = folder / name, objects[name]
            attempt.wait_for(partial(store.get_file, stored["key"], path))
            attempt.wait_for(partial(store.put_file, copy["key"], path, content_type=copy["content_type"]))


def _are_stored(store: Store, objects: Mapping[str, Mapping[str, Any]]) -> bool:
    try:
        return all(store.stat(each["key"]) for each in objects.values())
    except ObjectNotFoundError:
        return False
