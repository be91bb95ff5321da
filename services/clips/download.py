"""Addresses of a clip's files: signed, short-lived, with a name that a person recognises."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from db.clips import Clip
from db.shares import PublicClip
from services.clips import service as clips
from storage.keys import download_name
from storage.store import Store

DOWNLOAD_URL_S = 3600  # long enough for a slow line to begin and to resume
# The owner may pause a video over lunch and go on; each seek is a new request to the same address.
PLAYBACK_URL_S = 6 * 3600
# Behind a share link: twice the longest clip. The page's own address leads to a fresh one while the link works.
SHARED_URL_S = 10 * 60
EXTENSIONS = {"mp4": ".mp4", "webm": ".webm", "mp3": ".mp3", "jpeg": ".jpg", "webp": ".webp"}


class Pictures(Struct, frozen=True):
    """Where a clip's pictures are; None for one that was not made."""

    thumbnail_url: str | None
    preview_url: str | None


def pictures(clip: Clip, store: Store, *, public_base_url: str | None) -> Pictures:
    """Return where a clip's picture and its moving preview are."""

    def url(name: str) -> str | None:
        stored = clip.objects.get(name)
        return None if stored is None else playback_url(stored, store, public_base_url=public_base_url)

    return Pictures(url("jpeg"), url("webp"))


def signed_url(clip: Clip, store: Store, *, wanted: str | None) -> str:
    """Return where to download a clip in a format; NotFoundError says why it cannot be."""
    name, stored = clips.find_object(clip, wanted)
    return download_url(stored, store, title=clip.title, name=name)


def download_url(stored: dict[str, Any], store: Store, *, title: str, name: str) -> str:
    """Return an address that saves an object under the clip's title."""
    filename = download_name(title, extension=EXTENSIONS[name], fallback="clip")
    return store.presign_get(
        stored["key"], expires_s=DOWNLOAD_URL_S, filename=filename, content_type=stored["content_type"]
    )


def playback_url(stored: dict[str, Any], store: Store, *, public_base_url: str | None) -> str:
    """Return an address that plays an object in a page: on the CDN where there is one, else signed."""
    if public_base_url:
        return f"{public_base_url.rstrip('/')}/{stored['key']}"
    return store.presign_get(stored["key"], expires_s=PLAYBACK_URL_S, content_type=stored["content_type"])


def shared_url(  # noqa: PLR0913 - keyword-only, as every use case
    clip: PublicClip, store: Store, *, name: str, public_base_url: str | None, now: datetime, is_download: bool = False
) -> str:
    """Return where a visitor of a share link gets a file; it ends within minutes, and no later than the link."""
    stored = clip.objects[name]
    if public_base_url and not is_download:
        return f"{public_base_url.rstrip('/')}/{stored['key']}"
    left_s = SHARED_URL_S if clip.expires_at is None else int((clip.expires_at - now).total_seconds())
    filename = download_name(clip.title, extension=EXTENSIONS[name], fallback="clip") if is_download else None
    return store.presign_get(
        stored["key"],
        expires_s=max(1, min(SHARED_URL_S, left_s)),
        filename=filename,
        content_type=stored["content_type"],
    )
