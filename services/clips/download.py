"""Signed, short-lived URLs of a clip's files, with readable file names."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from db.clips import Clip
from db.shares import PublicClip
from services.clips import service as clips
from storage.keys import download_name
from storage.store import Store

DOWNLOAD_URL_S = 3600  # long enough for a slow connection to begin and to resume
# The owner may pause a video for hours, and each seek is a new request to the same URL.
PLAYBACK_URL_S = 6 * 3600
# For share links: twice the longest clip. Reloading the page gives a new URL while the link is valid.
SHARED_URL_S = 10 * 60
EXTENSIONS = {"mp4": ".mp4", "webm": ".webm", "mp3": ".mp3", "jpeg": ".jpg", "webp": ".webp"}


class Pictures(Struct, frozen=True):
    """The URLs of a clip's pictures; None for a missing one."""

    thumbnail_url: str | None
    preview_url: str | None


def pictures(clip: Clip, store: Store, *, public_base_url: str | None) -> Pictures:
    """Return the URLs of a clip's thumbnail and animated preview."""

    def url(name: str) -> str | None:
        stored = clip.objects.get(name)
        return None if stored is None else playback_url(stored, store, public_base_url=public_base_url)

    return Pictures(url("jpeg"), url("webp"))


def signed_url(clip: Clip, store: Store, *, wanted: str | None) -> str:
    """Return the download URL of a clip in a format; NotFoundError with the reason."""
    name, stored = clips.find_object(clip, wanted)
    return download_url(stored, store, title=clip.title, name=name)


def download_url(stored: dict[str, Any], store: Store, *, title: str, name: str) -> str:
    """Return a URL that saves an object under the title of the clip."""
    filename = download_name(title, extension=EXTENSIONS[name], fallback="clip")
    return store.presign_get(
        stored["key"], expires_s=DOWNLOAD_URL_S, filename=filename, content_type=stored["content_type"]
    )


def playback_url(stored: dict[str, Any], store: Store, *, public_base_url: str | None) -> str:
    """Return a URL that plays an object in a page: on the CDN if configured, else signed."""
    if public_base_url:
        return f"{public_base_url.rstrip('/')}/{stored['key']}"
    return store.presign_get(stored["key"], expires_s=PLAYBACK_URL_S, content_type=stored["content_type"])


def shared_url(  # noqa: PLR0913 - keyword-only, as every use case
    clip: PublicClip, store: Store, *, name: str, public_base_url: str | None, now: datetime, is_download: bool = False
) -> str:
    """Return the URL of a file for visitors of a share link; it expires within minutes, and no later than the link."""
    stored = clip.objects[name]
    # An address on the CDN does not expire, so a link that expires gets a signed address instead.
    if public_base_url and not is_download and clip.expires_at is None:
        return f"{public_base_url.rstrip('/')}/{stored['key']}"
    left_s = SHARED_URL_S if clip.expires_at is None else int((clip.expires_at - now).total_seconds())
    filename = download_name(clip.title, extension=EXTENSIONS[name], fallback="clip") if is_download else None
    return store.presign_get(
        stored["key"],
        expires_s=max(1, min(SHARED_URL_S, left_s)),
        filename=filename,
        content_type=stored["content_type"],
    )
