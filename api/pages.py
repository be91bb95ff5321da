"""The few pages that the API renders itself: a shared clip, its player, and the links sent by mail.

Every value from outside is escaped, and the content security policy lets nothing run: there is no script at all.
"""

from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from api.page_style import STYLE, STYLE_HASH
from api.page_words import WORDS
from services.language import DEFAULT, Language, day

BEAR = '<path class="b" stroke-width="4.9" d="M5 14.5v7.5M10.5 7.5v18M16 11v16M21.5 7.5v18M27 14.5v7.5"/>'
NOSE = (
    '<path class="f" stroke="none" d="M14.1 19.6c0-.9.9-1.2 1.9-1.2s1.9.3 1.9 1.2c0 1-1.2 1.8-1.9 1.8'
    's-1.9-.8-1.9-1.8z"/>'
)
AWAKE = (
    '<circle class="f" cx="10.7" cy="15.6" r="1.45" stroke="none"/>'
    '<circle class="f" cx="21.3" cy="15.6" r="1.45" stroke="none"/>'
)
PUZZLED = (
    '<path class="f l" stroke-width="1.05" stroke-linecap="round" '
    'd="m9.6 14.5 2.1 2.1m0-2.1-2.1 2.1M20.3 14.5l2.1 2.1m0-2.1-2.1 2.1"/>'
    '<path class="a" stroke-width="2.6" d="M.5 6c-5.5 5-5.5 15.5 0 20.5M31.5 6c5.5 5 5.5 15.5 0 20.5"/>'
)
LOGO = f'<svg viewBox="0 0 32 32" aria-hidden="true">{BEAR}{AWAKE}{NOSE}</svg>'
PUZZLED_BEAR = f'<svg class="bear" viewBox="-7 0 46 32" aria-hidden="true">{BEAR}{PUZZLED}{NOSE}</svg>'
DOWNLOAD_ICON = (
    '<svg class="i" viewBox="0 0 20 20" aria-hidden="true"><path d="M10 3.5v9M6.5 9.5 10 13l3.5-3.5M4 16.5h12"/></svg>'
)
PLAYABLE = ("mp4", "webm")
DEFAULT_WIDTH, DEFAULT_HEIGHT = 1280, 720
AUDIO_HEIGHT = 120


class Player(Struct, frozen=True, kw_only=True):
    """What a page needs to show a shared clip. Addresses are ours; they lead on to storage."""

    title: str
    description: str
    page_url: str
    embed_url: str
    oembed_url: str
    sources: dict[str, str]
    poster_url: str | None
    width: int
    height: int
    storage_origin: str
    kind: str | None = None
    created_at: datetime | None = None
    duration_s: float | None = None
    view_count: int | None = None
    recording_title: str = ""

    @property
    def is_video(self) -> bool:
        """Whether there are moving images to show."""
        return any(name in self.sources for name in PLAYABLE)


class Page(Struct, frozen=True, kw_only=True):
    """A document and the policy it is served with."""

    html: str
    policy: str


def policy(*, media: str = "", frame_ancestors: str = "'none'", forms: bool = False) -> str:
    """Return a content security policy that allows our own style, and media from where they are stored."""
    sources = f"'self' {media}".strip()
    parts = [
        "default-src 'none'",
        f"style-src 'sha256-{STYLE_HASH}'",
        "font-src 'self'",
        f"media-src {sources}",
        f"img-src {sources}",
        "base-uri 'none'",
        "form-action 'self'" if forms else "form-action 'none'",
        f"frame-ancestors {frame_ancestors}",
    ]
    return "; ".join(parts)


def origin_of(url: str) -> str:
    """Return the origin of an address, as a content security policy names it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def clip_page(player: Player, language: Language = DEFAULT) -> Page:
    """Return the public page of a clip, with what social networks read."""
    body = f"{_screen(player)}{_about(player, language)}{_origin_line(player, language)}"
    html = _document(player.title, body, language, head=_cards(player))
    return Page(html=html, policy=policy(media=player.storage_origin))


def embed_page(player: Player, language: Language = DEFAULT) -> Page:
    """Return the player alone, for a frame on any site."""
    return Page(
        html=_document(player.title, _media(player), language, is_bare=True),
        policy=policy(media=player.storage_origin, frame_ancestors="*"),
    )


def message_page(title: str, text: str, language: Language = DEFAULT, *, is_problem: bool = True) -> Page:
    """Return a page with a heading and a sentence."""
    body = (
        f'<div class="card middle">{PUZZLED_BEAR if is_problem else ""}<h1>{escape(title)}</h1><p>{escape(text)}</p>'
        f'<a class="btn" href="/">{WORDS[language].home}</a></div>'
    )
    return Page(html=_document(title, body, language), policy=policy())


def verify_page(token: str, language: Language = DEFAULT) -> Page:
    """Return the page that confirms an address; a press of the button, so that mail scanners confirm nothing."""
    words = WORDS[language]
    form = (
        f'<form method="post" action="/verify/{quote(token, safe="")}">'
        f'<button class="btn go wide">{words.verify_action}</button></form>'
    )
    body = f'<div class="card"><h1>{words.verify_title}</h1><p>{words.verify_text}</p>{form}</div>'
    return Page(html=_document(words.verify_title, body, language), policy=policy(forms=True))


def reset_page(token: str, language: Language = DEFAULT, *, problem: str = "") -> Page:
    """Return the page that asks for a new password."""
    words = WORDS[language]
    warning = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    form = (
        f'<form method="post" action="/reset/{quote(token, safe="")}">'
        f"<label>{words.reset_label}"
        '<input name="password" type="password" autocomplete="new-password" required minlength="8"></label>'
        f'<button class="btn go wide">{words.reset_action}</button></form>'
    )
    body = f'<div class="card"><h1>{words.reset_title}</h1>{warning}{form}</div>'
    return Page(html=_document(words.reset_title, body, language), policy=policy(forms=True))


def iframe(player: Player, *, width: int, height: int) -> str:
    """Return the HTML that puts the player on another site."""
    return (
        f'<iframe src="{escape(player.embed_url)}" width="{width}" height="{height}" '
        f'title="{escape(player.title)}" frameborder="0" allowfullscreen></iframe>'
    )


def _document(title: str, body: str, language: Language, *, head: str = "", is_bare: bool = False) -> str:
    top = (
        f'<header class="top"><a class="brand" href="/" aria-label="Big Snuggles">{LOGO}<span>Big Snuggles</span></a>'
        f'<a class="btn soft" href="/">{WORDS[language].make_your_own}</a></header>'
    )
    content = body if is_bare else f"{top}<main>{body}</main>"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="/icon.svg" type="image/svg+xml">'
        f"<title>{escape(title)} · Big Snuggles</title>{head}<style>{STYLE}</style></head>"
        f"<body{' class=bare' if is_bare else ''}>{content}</body></html>"
    )


def _screen(player: Player) -> str:
    """Return the player in a box that fits the clip: a wide one fills it, a tall one stands in the middle."""
    is_wide = player.is_video and player.width >= player.height
    return f'<div class="screen{" wide-clip" if is_wide else ""}">{_media(player)}</div>'


def _about(player: Player, language: Language) -> str:
    words = WORDS[language]
    kind = words.kinds.get(player.kind or "")
    facts = [
        f'<span class="kind {escape(player.kind or "")}">{kind}</span>' if kind else "",
        f"<span>{day(player.created_at, language)}</span>" if player.created_at else "",
        f"<span>{_clock(player.duration_s)}</span>" if player.duration_s else "",
        f"<span>{_views(player.view_count, language)}</span>" if player.view_count else "",
    ]
    description = f'<p class="text">{escape(player.description)}</p>' if player.description else ""
    source = next((player.sources[name] for name in ("mp4", "webm", "mp3") if name in player.sources), None)
    download = (
        f'<a class="btn go" href="{escape(source)}?download=1">{DOWNLOAD_ICON}{words.download}</a>'
        if source is not None
        else ""
    )
    return (
        f'<div class="about"><div><h1>{escape(player.title)}</h1>{description}'
        f'<div class="facts">{"".join(facts)}</div></div><div class="acts">{download}</div></div>'
    )


def _views(number: int, language: Language) -> str:
    words = WORDS[language]
    return f"{number:,} {words.view if number == 1 else words.views}".replace(",", words.thousands)


def _origin_line(player: Player, language: Language) -> str:
    words = WORDS[language]
    source = f" {words.found_in.format(title=escape(player.recording_title))}" if player.recording_title else ""
    return f"<footer>{words.found}{source}</footer>"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _media(player: Player) -> str:
    tag = "video" if player.is_video else "audio"
    wanted = PLAYABLE if player.is_video else ("mp3",)
    types = {"mp4": "video/mp4", "webm": "video/webm", "mp3": "audio/mpeg"}
    sources = "".join(
        f'<source src="{escape(player.sources[name])}" type="{types[name]}">'
        for name in wanted
        if name in player.sources
    )
    poster = f' poster="{escape(player.poster_url)}"' if player.poster_url and player.is_video else ""
    label = escape(player.title)
    return f'<{tag} controls playsinline preload="metadata" aria-label="{label}"{poster}>{sources}</{tag}>'


def _cards(player: Player) -> str:
    properties: dict[str, Any] = {
        "og:type": "video.other" if player.is_video else "music.song",
        "og:site_name": "Big Snuggles",
        "og:title": player.title,
        "og:description": player.description,
        "og:url": player.page_url,
        "og:image": player.poster_url,
    }
    names: dict[str, Any] = {
        "twitter:card": "player" if player.is_video else "summary",
        "twitter:title": player.title,
        "twitter:description": player.description,
        "twitter:image": player.poster_url,
        "robots": "noindex",
    }
    if player.is_video:
        source = player.sources.get("mp4") or player.sources.get("webm")
        properties |= {
            "og:video": source,
            "og:video:type": "video/mp4" if "mp4" in player.sources else "video/webm",
            "og:video:width": player.width,
            "og:video:height": player.height,
        }
        names |= {
            "twitter:player": player.embed_url,
            "twitter:player:width": player.width,
            "twitter:player:height": player.height,
        }
    metas = [f'<meta property="{name}" content="{escape(str(value))}">' for name, value in properties.items() if value]
    metas += [f'<meta name="{name}" content="{escape(str(value))}">' for name, value in names.items() if value]
    oembed = (
        f'<link rel="alternate" type="application/json+oembed" href="{escape(player.oembed_url)}" '
        f'title="{escape(player.title)}">'
    )
    return "".join(metas) + oembed
