"""Removal of what abandoned uploads leave behind, whichever adapter holds it."""

from datetime import datetime, timedelta
from typing import Final

from storage.store import Store

ABANDONED_AFTER: Final = timedelta(hours=24)
"""Part URLs are signed for hours: who has not finished after a day has gone."""


def sweep_uploads(store: Store, *, now: datetime, older_than: timedelta = ABANDONED_AFTER) -> int:
    """Abort multipart uploads that were begun before `now - older_than`; return how many.

    In a local folder this also removes what writers that died have left, which S3 does by itself.
    """
    limit = now - older_than
    stale = [upload for upload in store.list_uploads() if upload.initiated_at < limit]
    for upload in stale:
        store.abort_multipart(upload.key, upload.upload_id)
    store.discard_leftovers(limit)
    return len(stale)
