"""Shared by the actors of media jobs: limits and sources of their children, and storage of their files."""

from functools import partial
from pathlib import Path
from uuid import uuid4

from pipeline.limits import Limits, core_count
from pipeline.types import Source
from services.jobs.reservation import LEAST_SLOTS
from storage.store import Store
from workers.attempt import Attempt
from workers.children.child import Policy
from workers.runtime import Runtime
from workers.scratch import named

GIB = 2**30
URL_MARGIN_S = 600
"""How much longer the URL of a source is valid than its child may run."""
WALL_S = {"ingest": 3 * 3600.0, "detect": 600.0, "render": 1800.0}
"""Listening to six hours of 4K takes about twenty minutes, and encoding the longest clip about ten."""
MEMORY_BYTES = {"ingest": 1 * GIB, "detect": 1 * GIB, "render": 3 * GIB}
FILE_BYTES = 2 * GIB
FILES = 256


def policy(kind: str, threads: int) -> Policy:
    """Return the limits of one child of this kind in a process with `threads` slots."""
    # The slot that is reserved for other owners is mostly idle; the other slots share its cores.
    busy = threads - 1 if threads >= LEAST_SLOTS else threads
    cores = max(1, core_count() // busy)
    wall_s = WALL_S[kind]
    limits = Limits(memory_bytes=MEMORY_BYTES[kind], cpu_s=int(wall_s * cores), file_bytes=FILE_BYTES, files=FILES)
    return Policy(wall_s=wall_s, limits=limits, threads=cores)


def source(  # noqa: PLR0913 - keyword-only
    runtime: Runtime,
    attempt: Attempt,
    kind: str,
    *,
    key: str,
    size_bytes: int | None,
    index_key: str | None,
    cache: Path | None = None,
) -> Source:
    """Return the source of a child: a short-lived URL or a local path, with the stored packet index.

    The index is fetched into `cache`, once for all clips of a recording.
    """
    store = runtime.buckets.recordings
    index = None
    if index_key is not None and cache is not None:
        index = cache / f"{named(index_key)}.index"
        if not index.exists():
            made = index.with_suffix(f".{uuid4().hex}")
            attempt.wait_for(partial(store.get_file, index_key, made))
            made.replace(index)
    location = store.child_source(key, expires_s=int(WALL_S[kind]) + URL_MARGIN_S)
    return Source(
        location=location,
        size_bytes=size_bytes,
        index=None if index is None else str(index),
        cache_dir=None if cache is None else str(cache),
    )


def tagger_path(runtime: Runtime) -> str | None:
    """Return the path of the tagger's model for a child; None means the built-in tagger."""
    return None if runtime.tagger_model is None else str(runtime.tagger_model)


def put(attempt: Attempt, store: Store, key: str, path: Path, content_type: str) -> int:
    """Store a file of this attempt and return its size in bytes; it is deleted unless the attempt publishes it."""
    attempt.written.append((store, key))
    return attempt.wait_for(partial(store.put_file, key, path, content_type=content_type)).size_bytes
