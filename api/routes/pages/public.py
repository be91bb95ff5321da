"""Pages without login: shared clips, their player, oEmbed, and the links sent by mail."""

import re
from typing import Annotated
from urllib.parse import quote, urlsplit

from litestar import MediaType, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter

from api.auth import PUBLIC
from api.deps import Deps
from api.http.client_address import address_of, limit_key
from api.http.errors import failure, status_of
from api.http.request import ApiRequest, language_of
from api.limits import rate_limit
from api.pages import documents
from api.pages.documents import AUDIO_HEIGHT, DEFAULT_HEIGHT, DEFAULT_WIDTH, Page, Player
from api.pages.words import WORDS, Words
from api.schemas.clips import OEmbedView
from db.connection import SERVICE
from services.accounts import password as passwords
from services.accounts import service as accounts
from services.clips import download as downloads
from services.clips import share as shares
from services.clips.share import PublicClip
from services.errors import DomainError, NotFoundError
from services.recordings import timeline as timelines

SLUG = re.compile(r"[A-Za-z0-9_-]{10,64}")
CACHE_S = 60  # a closed link disappears from caches after a minute
MAX_SIDE = 10_000
MAX_FORM_BYTES = 16 * 1024
"""Enough for a form with a password. Forms are parsed on the event loop, where a large one would delay requests."""
Side = Annotated[int | None, QueryParameter(ge=1, le=MAX_SIDE)]


@get("/c/{slug:str}", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
def show_clip(slug: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Response[str]:
    """Show a shared clip."""
    try:
        return _html(documents.clip_page(_player(deps, _visit(deps, slug, request)), language_of(request)))
    except NotFoundError:
        return _gone(request)


@get("/embed/{slug:str}", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
def embed_clip(slug: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Response[str]:
    """Show the player alone, for frames."""
    try:
        return _html(documents.embed_page(_player(deps, _visit(deps, slug, request)), language_of(request)))
    except NotFoundError:
        return _gone(request)


@get("/c/{slug:str}/media/{name:str}", sync_to_thread=True, include_in_schema=False)
def media(
    slug: FromPath[str],
    name: FromPath[str],
    deps: NamedDependency[Deps],
    download: Annotated[bool, QueryParameter()] = False,  # noqa: FBT002 - a query parameter
) -> Response[None]:
    """Redirect to a file of a shared clip; this address stays the same when the signed one expires."""
    clip = _visit(deps, slug)
    if name not in clip.objects:
        raise NotFoundError(f"This clip was not made as {name[:10]}.")
    url = downloads.shared_url(
        clip,
        deps.buckets.clips,
        name=name,
        public_base_url=deps.settings.clips_public_base_url,
        now=deps.clock(),
        is_download=download,
    )
    return Response(None, status_code=302, headers={"Location": url, "Cache-Control": "no-store"})


@get("/c/{slug:str}/waveform.svg", sync_to_thread=True, include_in_schema=False)
def waveform(slug: FromPath[str], deps: NamedDependency[Deps]) -> Response[bytes]:
    """Draw the sound of a shared clip, as the player shows it above its bar."""
    clip = _visit(deps, slug)
    if clip.waveform_key is None:
        raise NotFoundError("The sound of this clip's recording is not known.")
    peaks = timelines.stretch(
        clip.waveform_key, deps.buckets.recordings, start_s=clip.start_s, end_s=clip.end_s, points=documents.BARS
    )
    picture = documents.waveform_picture(peaks).encode()
    headers = {"Cache-Control": f"public, max-age={CACHE_S}"}
    return Response(picture, media_type="image/svg+xml", headers=headers)


@get("/oembed", sync_to_thread=True, tags=["Clips"])
def oembed(
    url: Annotated[str, QueryParameter(max_length=2000, description="The address of a shared clip.")],
    deps: NamedDependency[Deps],
    format: Annotated[str, QueryParameter(description="json.")] = "json",  # noqa: A002 - oEmbed's name
    maxwidth: Side = None,
    maxheight: Side = None,
) -> Response[OEmbedView]:
    """Describe a shared clip to sites that embed it (oembed.com). The answer is oEmbed's own, without an envelope."""
    if format != "json":
        # oEmbed §2.3.4: the status of a format that is not provided.
        message = "oEmbed answers are JSON; ask with format=json."
        body = failure("format_not_provided", message, retryable=False, details={"field": "format"})
        return Response(body, status_code=501)  # type: ignore[arg-type]  # a failure is no view
    player = _player(deps, _visit(deps, _slug_of(url, deps.settings.public_url)))
    width, height = _fit(player, maxwidth, maxheight)
    has_poster = player.poster_url is not None
    return Response(
        OEmbedView(
            type="video" if player.is_video else "rich",
            provider_url=deps.settings.public_url,
            title=player.title,
            html=documents.iframe(player, width=width, height=height),
            width=width,
            height=height,
            thumbnail_url=player.poster_url,
            thumbnail_width=player.width if has_poster else None,
            thumbnail_height=player.height if has_poster else None,
        ),
        headers={"Cache-Control": f"public, max-age={CACHE_S}"},
    )


@get("/verify/{token:str}", media_type=MediaType.HTML, sync_to_thread=False, include_in_schema=False)
def ask_to_verify(token: FromPath[str], request: ApiRequest) -> Response[str]:
    """Show the button that confirms the address."""
    return _html(documents.verify_page(token, language_of(request)))


@post(
    "/verify/{token:str}",
    media_type=MediaType.HTML,
    sync_to_thread=True,
    include_in_schema=False,
    status_code=200,
    request_max_body_size=MAX_FORM_BYTES,
)
def verify(token: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Response[str]:
    """Confirm the address."""
    language = language_of(request)
    words = WORDS[language]
    try:
        _limit(deps, request)
        with deps.database.transaction(SERVICE) as tx:
            account = accounts.verify(tx, token=token)
    except DomainError as error:
        return _html(
            documents.message_page(words.failed_title, _problem(error, words), language), status=status_of(error)
        )
    verified = words.verified.format(email=account.email)
    return _html(documents.message_page(words.verified_title, verified, language, is_problem=False))


@get("/reset/{token:str}", media_type=MediaType.HTML, sync_to_thread=False, include_in_schema=False)
def ask_for_password(token: FromPath[str], request: ApiRequest) -> Response[str]:
    """Show the form for a new password."""
    return _html(documents.reset_page(token, language_of(request)))


@post(
    "/reset/{token:str}",
    media_type=MediaType.HTML,
    sync_to_thread=True,
    include_in_schema=False,
    status_code=200,
    request_max_body_size=MAX_FORM_BYTES,
)
def reset(
    token: FromPath[str],
    data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Response[str]:
    """Set the new password."""
    language = language_of(request)
    words = WORDS[language]
    try:
        _limit(deps, request)
        passwords.check_password(data.get("password", ""))
        password_hash = passwords.hash_password(data["password"])
        with deps.database.transaction(SERVICE) as tx:
            accounts.reset(tx, token=token, password_hash=password_hash, now=deps.clock())
    except DomainError as error:
        return _html(documents.reset_page(token, language, problem=_problem(error, words)), status=status_of(error))
    return _html(documents.message_page(words.reset_done_title, words.reset_done, language, is_problem=False))


def _limit(deps: Deps, request: ApiRequest) -> None:
    deps.limits.hit(rate_limit.LINKS, limit_key(address_of(request)))


def _gone(request: ApiRequest) -> Response[str]:
    language = language_of(request)
    words = WORDS[language]
    return _html(documents.message_page(words.gone_title, words.gone, language), status=404)


def _problem(error: DomainError, words: Words) -> str:
    return words.problems.get(str(error.details.get("field")), error.message)


def _html(page: Page, *, status: int = 200) -> Response[str]:
    headers = {"Content-Security-Policy": page.policy, "Cache-Control": "no-store", "Vary": "Accept-Language"}
    return Response(page.html, status_code=status, media_type=MediaType.HTML, headers=headers)


def _visit(deps: Deps, slug: str, viewer: ApiRequest | None = None) -> PublicClip:
    """Return the clip behind a link; with a viewer, the visit is counted."""
    if not SLUG.fullmatch(slug):
        raise NotFoundError("This link does not work: it may have ended, or its owner closed it.")
    with deps.database.transaction(SERVICE) as tx:
        clip = shares.visit(tx, slug=slug)
        if viewer is not None and viewer.method == "GET":
            shares.count_view(tx, clip=clip, user_agent=viewer.headers.get("user-agent", ""))
        return clip


def _slug_of(url: str, public_url: str) -> str:
    for kind in ("/c/", "/embed/"):
        if url.startswith(public_url + kind):
            return urlsplit(url).path.rpartition("/")[2]
    raise NotFoundError("This address is not one of a shared clip here.")


def _player(deps: Deps, clip: PublicClip) -> Player:
    page_url = shares.page_url(deps.settings.public_url, clip.slug)
    playable = next((clip.objects[name] for name in ("mp4", "webm", "mp3") if name in clip.objects), None)
    if playable is None:
        raise NotFoundError("This link does not work: it may have ended, or its owner closed it.")
    stored_url = downloads.playback_url(
        playable, deps.buckets.clips, public_base_url=deps.settings.clips_public_base_url
    )
    return Player(
        title=clip.title,
        description=clip.description,
        page_url=page_url,
        embed_url=shares.embed_url(deps.settings.public_url, clip.slug),
        oembed_url=f"{deps.settings.public_url}/oembed?url={quote(page_url, safe='')}",
        sources={name: f"{page_url}/media/{name}" for name in ("mp4", "webm", "mp3") if name in clip.objects},
        poster_url=f"{page_url}/media/jpeg" if "jpeg" in clip.objects else None,
        width=playable.get("width") or DEFAULT_WIDTH,
        height=playable.get("height") or DEFAULT_HEIGHT,
        storage_origin=documents.origin_of(stored_url),
        kind=clip.kind,
        created_at=clip.created_at,
        duration_s=clip.end_s - clip.start_s,
        view_count=clip.view_count,
        recording_title=clip.recording_title,
        waveform_url=f"{page_url}/waveform.svg" if clip.waveform_key else None,
    )


def _fit(player: Player, maxwidth: int | None, maxheight: int | None) -> tuple[int, int]:
    """Return the largest size of the player's shape within the limits."""
    height = player.height if player.is_video else AUDIO_HEIGHT
    scale = min(1.0, (maxwidth or MAX_SIDE) / player.width, (maxheight or MAX_SIDE) / height)
    return max(1, int(player.width * scale)), max(1, int(height * scale))


public_router = Router(
    "/",
    route_handlers=[show_clip, embed_clip, media, waveform, oembed, ask_to_verify, verify, ask_for_password, reset],
    opt={PUBLIC: True},
)
