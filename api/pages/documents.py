"""The few pages that the API renders itself: a shared clip, its player, and the links sent by mail.

Every value from outside is escaped. No page has script of its own; those with a player load one file of ours, and
without it the browser's own controls play the clip.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from api.pages.style import ASSETS, STYLE, STYLE_HASH
from api.pages.words import WORDS, Words
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


def _icon(path: str, names: str = "i") -> str:
    return f'<svg class="{names}" viewBox="0 0 20 20" aria-hidden="true"><path d="{path}"/></svg>'


DOWNLOAD_ICON = _icon("M10 3.5v9M6.5 9.5 10 13l3.5-3.5M4 16.5h12")
SHARE_ICON = _icon(
    "M10 12V3.5M7 6.2l3-2.7 3 2.7M6 9.5H5.5a1.5 1.5 0 0 0-1.5 1.5v4.5A1.5 1.5 0 0 0 5.5 17h9a1.5 1.5 0 0 0 1.5-1.5V11"
    "a1.5 1.5 0 0 0-1.5-1.5H14"
)
LINK_ICON = _icon(
    "M8.5 11.5a3 3 0 0 0 4.3 0l2.7-2.7a3 3 0 0 0-4.3-4.3l-.9.9"
    "M11.5 8.5a3 3 0 0 0-4.3 0l-2.7 2.7a3 3 0 0 0 4.3 4.3l.9-.9"
)
# Two icons a switch: the style shows the one for its state.
PLAY_ICONS = _icon(
    "M7 4.6v10.8c0 .8.9 1.3 1.6.8l8-5.4a1 1 0 0 0 0-1.6l-8-5.4C7.9 3.3 7 3.8 7 4.6z", "i solid off"
) + _icon("M7 4.5v11M13 4.5v11", "i bold on")
SPEAKER = "M4 8.2v3.6h2.5L10 15V5L6.5 8.2z"
MUTE_ICONS = _icon(f"{SPEAKER}M13 7.5a3.5 3.5 0 0 1 0 5M15 5.5a6.3 6.3 0 0 1 0 9", "i off") + _icon(
    f"{SPEAKER}m13 8 4 4m0-4-4 4", "i on"
)
FULL_ICONS = _icon("M4 7.5V4h3.5M16 7.5V4h-3.5M4 12.5V16h3.5M16 12.5V16h-3.5", "i off") + _icon(
    "M7.5 4v3.5H4M12.5 4v3.5H16M7.5 16v-3.5H4M12.5 16v-3.5H16", "i on"
)
PLAYABLE = ("mp4", "webm")
DEFAULT_WIDTH, DEFAULT_HEIGHT = 1280, 720
AUDIO_HEIGHT = 120
BARS = 140
FEWEST_BARS = 30
"""Fewer say nothing about a clip's sound."""


def _script() -> str:
    """Return the element that loads the player's script; nothing where the web app is not built."""
    return "".join(
        f'<script type="module" src="/assets/{path.name}"></script>' for path in sorted(ASSETS.glob("public-*.js"))[:1]
    )


SCRIPT = _script()


class Player(Struct, frozen=True, kw_only=True):
    """The data of a page that shows a shared clip. Addresses are ours and redirect to storage."""

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
    waveform_url: str | None = None

    @property
    def is_video(self) -> bool:
        """Whether the clip has video."""
        return any(name in self.sources for name in PLAYABLE)


class Page(Struct, frozen=True, kw_only=True):
    """A document and its content security policy."""

    html: str
    policy: str


def policy(*, media: str = "", frame_ancestors: str = "'none'", forms: bool = False, plays: bool = False) -> str:
    """Return a content security policy that allows our own style, and media from where they are stored.

    A page that `plays` may load files of ours as script, and ask whether its clip is still there.
    """
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
    if plays:
        parts += [
            "script-src 'self'",
            "connect-src 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    return "; ".join(parts)


def origin_of(url: str) -> str:
    """Return the origin of an address, as a content security policy names it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def clip_page(player: Player, language: Language = DEFAULT) -> Page:
    """Return the public page of a clip, with metadata for social networks."""
    body = f"{_player(player, language)}{_about(player, language)}{_origin_line(player, language)}"
    html = _document(player.title, body, language, head=f"{_cards(player)}{SCRIPT}")
    return Page(html=html, policy=policy(media=player.storage_origin, plays=True))


def embed_page(player: Player, language: Language = DEFAULT) -> Page:
    """Return the player alone, for a frame on any site."""
    return Page(
        html=_document(player.title, _player(player, language), language, head=SCRIPT, is_bare=True),
        policy=policy(media=player.storage_origin, frame_ancestors="*", plays=True),
    )


def waveform_picture(peaks: Sequence[int]) -> str:
    """Return bars of the heights of these peaks, 0 to 255, beside each other as an SVG; too few make an empty one.

    The style keeps them to the slider's way: its button is a rem wide, and moves by half of it less at both ends.
    """
    shown = peaks if len(peaks) >= FEWEST_BARS else []
    loudest = max([*shown, 1])
    lines = (
        f"M{4 * at + 2} {20 - max(1.0, 19 * peak / loudest):.1f}V{20 + max(1.0, 19 * peak / loudest):.1f}"
        for at, peak in enumerate(shown)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {4 * max(1, len(shown))} 40" preserveAspectRatio="none">'
        f'<path d="{"".join(lines)}" stroke="#fff" stroke-width="1.6" stroke-linecap="round"/></svg>'
    )


def message_page(title: str, text: str, language: Language = DEFAULT, *, is_problem: bool = True) -> Page:
    """Return a page with a heading and a sentence."""
    body = (
        f'<div class="card middle">{PUZZLED_BEAR if is_problem else ""}<h1>{escape(title)}</h1><p>{escape(text)}</p>'
        f'<a class="btn" href="/">{WORDS[language].home}</a></div>'
    )
    return Page(html=_document(title, body, language), policy=policy())


def verify_page(token: str, language: Language = DEFAULT) -> Page:
    """Return the page that confirms an address at the press of a button, so that mail scanners confirm nothing."""
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


def _player(player: Player, language: Language) -> str:
    """Return the player in a box: a wide clip fills it, a tall one is centred.

    Its own controls are hidden until the script runs (`web/src/public/player.ts`).
    """
    words = WORDS[language]
    shape = "sound" if not player.is_video else "wide-clip" if player.width >= player.height else ""
    full = _switch("full", words.full_screen, words.leave_full_screen, FULL_ICONS, key="f") if player.is_video else ""
    length = player.duration_s or 0
    wave = f'<img class="wave" src="{escape(player.waveform_url)}" alt="">' if player.waveform_url else ""
    return (
        f'<div class="screen player {shape}" role="group" aria-label="{escape(player.title)}" tabindex="-1" '
        f'data-ended="{escape(words.link_ended)}" data-failed="{escape(words.not_loaded)}">{_media(player)}'
        f'<button type="button" class="big" hidden tabindex="-1" aria-hidden="true">{PLAY_ICONS}</button>'
        f'<p class="fault" role="alert" hidden></p><div class="bar" hidden>{wave}'
        f'<input class="seek" type="range" min="0" max="{length:.3f}" step="0.01" value="0" '
        f'aria-label="{words.position}" data-words="{escape(words.time_of)}">'
        f"{_switch('play', words.play, words.pause, PLAY_ICONS, key='Space')}"
        f'<span class="time">0:00 / {_clock(length)}</span>'
        f"{_switch('mute', words.mute, words.unmute, MUTE_ICONS, key='m')}{full}</div></div>"
    )


def _switch(name: str, off: str, on: str, icons: str, *, key: str) -> str:
    """Return a button whose label names the action of the next press."""
    return (
        f'<button type="button" class="ctl {name}" aria-label="{off}" title="{off}" aria-keyshortcuts="{key}" '
        f'data-off="{off}" data-on="{on}">{icons}</button>'
    )


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
    return (
        f'<div class="about"><div><h1>{escape(player.title)}</h1>{description}'
        f'<div class="facts">{"".join(facts)}</div></div>{_actions(player, source, words)}</div>'
    )


def _actions(player: Player, source: str | None, words: Words) -> str:
    """Return the buttons beside the title; those that need the script are hidden until it runs."""
    download = (
        f'<a class="btn go" href="{escape(source)}?download=1">{DOWNLOAD_ICON}{words.download}</a>'
        if source is not None
        else ""
    )
    return (
        f'<div class="acts" data-url="{escape(player.page_url)}" data-title="{escape(player.title)}">'
        f'<button type="button" class="btn share" hidden>{SHARE_ICON}{words.share}</button>'
        f'<button type="button" class="btn copy" hidden data-copied="{escape(words.copied)}" '
        f'data-failed="{escape(words.not_copied)}">{LINK_ICON}{words.copy_link}</button>'
        f'{download}<p class="said" role="status"></p></div>'
    )


def _views(number: int, language: Language) -> str:
    words = WORDS[language]
    return f"{number:,} {words.view if number == 1 else words.views}".replace(",", words.thousands)


def _origin_line(player: Player, language: Language) -> str:
    words = WORDS[language]
    source = f" {words.found_in.format(title=escape(player.recording_title))}" if player.recording_title else ""
    return f"<footer>{words.found}{source}</footer>"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
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
    size = f' width="{player.width}" height="{player.height}"' if player.is_video else ""
    label = escape(player.title)
    return f'<{tag} controls playsinline preload="metadata" aria-label="{label}"{size}{poster}>{sources}</{tag}>'


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
