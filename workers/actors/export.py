"""Makes the archive of a user's data, and deletes expired archives."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import msgspec

from db.connection import SERVICE, Transaction
from services.accounts import export as exports
from services.accounts.export import ClipObject
from services.errors import NotFoundError
from services.jobs.payload import ExportAccountPayload, payload_of
from storage.keys import download_name, export_key
from workers.attempt import Attempt
from workers.completer import Publish
from workers.execution import Work
from workers.runtime import Runtime

ARCHIVE_TYPE = "application/zip"


def export_account(runtime: Runtime, attempt: Attempt) -> Publish:
    """Write data and clips into one archive, store it, and tell its owner."""
    export_id = payload_of(attempt.job, ExportAccountPayload).export_id
    user_id = attempt.job.user_id
    if user_id is None:
        raise NotFoundError("The account of this export no longer exists.")
    with runtime.database.transaction(SERVICE) as tx:
        data, files = exports.gather(tx, user_id=user_id)
    key = export_key(user_id, export_id, attempt.job.attempt)
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        archive = scratch / "export.zip"
        _write(runtime, attempt, archive, data, files)
        store = runtime.buckets.clips
        attempt.written.append((store, key))
        stored = attempt.wait_for(partial(store.put_file, key, archive, content_type=ARCHIVE_TYPE))

    def publish(tx: Transaction) -> dict[str, Any]:
        is_ready = exports.publish(tx, export_id=export_id, key=key, size_bytes=stored.size_bytes, now=runtime.clock())
        return {"status": "ready" if is_ready else "given_up", "clips": len(files), "size_bytes": stored.size_bytes}

    return publish


def expire_exports(runtime: Runtime, attempt: Attempt) -> Publish:
    """Delete archives after a week."""
    with runtime.database.transaction(SERVICE) as tx:
        expired = exports.list_expired(tx)
    if expired:
        attempt.wait_for(partial(runtime.buckets.clips.delete, list(expired.values())))

    def publish(tx: Transaction) -> dict[str, Any]:
        exports.mark_expired(tx, ids=list(expired))
        return {"expired": len(expired)}

    return publish


EXPORT: Mapping[str, Work] = {"export_account": export_account, "expire_exports": expire_exports}


def _write(runtime: Runtime, attempt: Attempt, archive: Path, data: Mapping[str, Any], files: list[ClipObject]) -> None:
    part = archive.with_name("part")
    with ZipFile(archive, "w", allowZip64=True) as opened:
        text = msgspec.json.format(msgspec.json.encode(data), indent=2)
        opened.writestr("data.json", text, compress_type=ZIP_DEFLATED)
        for number, file in enumerate(files):
            attempt.report(stage="archive", fraction=number / len(files), eta_s=None)
            attempt.wait_for(partial(runtime.buckets.clips.get_file, file.key, part))
            # Media does not compress.
            opened.write(part, _name(file), compress_type=ZIP_STORED)
            part.unlink()


def _name(file: ClipObject) -> str:
    """Return a unique, readable name in the archive."""
    name = download_name(file.title, extension=f".{file.format}", fallback="clip")
    return f"clips/{file.id.hex[:8]} {name}"
