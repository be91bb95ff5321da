"""The few pages that the API renders itself: a shared clip, its player, and the links sent by mail.

Every value from outside is escaped, and the content security policy lets nothing run: there is no script at all.
"""

import base64
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

STYLE = """
:root { color-scheme: light dark; --fg: #1b1b1f; --bg: #fbfaf8; --soft: #5d5b66; --accent: #6b3fd4; --line: #d9d6df; }
@media (prefers-color-scheme: dark) {
  :root { --fg: #ecebf0; --bg: #17161b; --soft: #a8a5b3; --accent: #b79bff; --line: #3a3743; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 1rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; overflow-wrap: anywhere; white-space: pre-line; }
a { color: var(--accent); }
video, audio { display: block; width: 100%; max-height: 80vh; background: #000; border-radius: .5rem; }
audio { background: none; }
footer { margin-top: 2rem; color: var(--soft); font-size: .875rem; }
label { display: block; margin: 1rem 0 .25rem; }
input { font: inherit; padding: .5rem; width: 100%; max-width: 24rem; border: 1px solid var(--line);
  border-radius: .375rem; background: transparent; color: inherit; }
button { font: inherit; margin-top: 1rem; padding: .5rem 1.25rem; border: 0; border-radius: .375rem; cursor: pointer;
  background: var(--accent); color: var(--bg); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.bare { background: #000; } .bare main { max-width: none; padding: 0; }
.bare video { border-radius: 0; height: 100vh; max-height: none; }
"""
STYLE_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
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

    @property
    def is_video(self) -> bool:
        """Whether there are moving images to show."""
        return any(name in self.sources for name in PLAYABLE)


class Page(Struct, frozen=True, kw_only=True):
    """A document and the policy it is served with."""

    html: str
    policy: str


def policy(*, media: str = "", frame_ancestors: str = "'none'", forms: bool = False) -> str:
    """Return a content security policy that allows our own style, and media from where they lie."""
    sources = f"'self' {media}".strip()
    parts = [
        "default-src 'none'",
        f"style-src 'sha256-{STYLE_HASH}'",
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


def clip_page(player: Player) -> Page:
    """Return the public page of a clip, with what social networks read."""
    title = escape(player.title)
    description = f"<p>{escape(player.description)}</p>" if player.description else ""
    body = f"{_media(player)}<h1>{title}</h1>{description}<footer>Made with Big Snuggles</footer>"
    return Page(html=_document(player.title, body, head=_cards(player)), policy=policy(media=player.storage_origin))


def embed_page(player: Player) -> Page:
    """Return the player alone, for a frame on any site."""
    return Page(
        html=_document(player.title, _media(player), body_class="bare"),
        policy=policy(media=player.storage_origin, frame_ancestors="*"),
    )


def message_page(title: str, text: str) -> Page:
    """Return a page with a heading and a sentence."""
    return Page(html=_document(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>"), policy=policy())


def verify_page(token: str) -> Page:
    """Return the page that confirms an address; a press of the button, so that mail scanners confirm nothing."""
    form = f'<form method="post" action="/verify/{quote(token, safe="")}"><button>Confirm my address</button></form>'
    return Page(
        html=_document("Confirm your address", f"<h1>Confirm your address</h1>{form}"), policy=policy(forms=True)
    )


def reset_page(token: str, *, problem: str = "") -> Page:
    """Return the page that asks for a new password."""
    warning = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    form = (
        f'<form method="post" action="/reset/{quote(token, safe="")}">'
        '<label for="password">New password, at least 8 characters</label>'
        '<input id="password" name="password" type="password" autocomplete="new-password" required minlength="8">'
        "<div><button>Save</button></div></form>"
    )
    body = f"<h1>Choose a new password</h1>{warning}{form}"
    return Page(html=_document("Choose a new password", body), policy=policy(forms=True))


def iframe(player: Player, *, width: int, height: int) -> str:
    """Return the HTML that puts the player on another site."""
    return (
        f'<iframe src="{escape(player.embed_url)}" width="{width}" height="{height}" '
        f'title="{escape(player.title)}" frameborder="0" allowfullscreen></iframe>'
    )


def _document(title: str, body: str, *, head: str = "", body_class: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>{head}<style>{STYLE}</style></head>"
        f'<body class="{body_class}"><main>{body}</main></body></html>'
    )


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
