"""Removes abandoned uploads and their files."""

from datetime import datetime, timedelta
from typing import Final

from storage.store import Store

ABANDONED_AFTER: Final = timedelta(hours=24)
"""Part URLs are valid for hours, so an upload that is older than a day is abandoned."""


def sweep_uploads(store: Store, *, now: datetime, older_than: timedelta = ABANDONED_AFTER) -> int:
    """Abort multipart uploads that began before `now - older_than`; return how many.

    In a local folder this also removes files of writers that died.
    """
    limit = now - older_than
    stale = [upload for upload in store.list_uploads() if upload.initiated_at < limit]
    for upload in stale:
        store.abort_multipart(upload.key, upload.upload_id)
    store.discard_leftovers(limit)
    return len(stale)
