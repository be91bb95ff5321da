import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from api.pages import documents
from api.pages.documents import Player

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def metas(self) -> dict[str, str]:
        return {
            str(attributes.get("property") or attributes.get("name")): str(attributes.get("content"))
            for tag, attributes in self.found
            if tag == "meta"
        }

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.found}


def player(**changes: object) -> Player:
    given: dict[str, object] = {
        "title": "The demo works",
        "description": "",
        "page_url": "https://clips.example.com/c/slug",
        "embed_url": "https://clips.example.com/embed/slug",
        "oembed_url": "https://clips.example.com/oembed?url=https%3A%2F%2Fclips.example.com%2Fc%2Fslug",
        "sources": {"mp4": "https://clips.example.com/c/slug/media/mp4"},
        "poster_url": "https://clips.example.com/c/slug/media/jpeg",
        "width": 640,
        "height": 360,
        "storage_origin": "https://storage.example.com",
    }
    return Player(**{**given, **changes})


@pytest.mark.parametrize("render", [documents.clip_page, documents.embed_page])
def test_hostile_titles_stay_text(render: object) -> None:
    page = render(player(title=HOSTILE, description=HOSTILE))
    seen = Elements(page.html)
    scripts = [attributes for tag, attributes in seen.found if tag == "script"]
    assert all(re.fullmatch(r"/assets/public-[\w-]+\.js", each["src"] or "") for each in scripts)
    assert "img" not in seen.tags()
    assert not any(name.startswith("on") for _, attributes in seen.found for name in attributes)


@pytest.mark.parametrize("token", [HOSTILE, "a/../b", "é"])
def test_hostile_link_tokens_stay_in_the_forms_address(token: str) -> None:
    for page in (documents.verify_page(token), documents.reset_page(token, problem=HOSTILE)):
        (action,) = [attributes["action"] for tag, attributes in Elements(page.html).found if tag == "form"]
        assert re.fullmatch(r"/(verify|reset)/[A-Za-z0-9%._-]+", action or "")
        assert "script" not in Elements(page.html).tags()


def test_clip_page_carries_cards_that_social_networks_read() -> None:
    metas = Elements(documents.clip_page(player()).html).metas()
    assert metas["og:title"] == "The demo works"
    assert metas["og:video"] == "https://clips.example.com/c/slug/media/mp4"
    assert metas["og:image"] == "https://clips.example.com/c/slug/media/jpeg"
    assert metas["twitter:card"] == "player"
    assert metas["twitter:player"] == "https://clips.example.com/embed/slug"


def test_sound_alone_is_played_as_sound() -> None:
    page = documents.clip_page(player(sources={"mp3": "https://clips.example.com/c/slug/media/mp3"}, poster_url=None))
    assert "audio" in Elements(page.html).tags()
    assert "video" not in Elements(page.html).tags()
    assert Elements(page.html).metas()["twitter:card"] == "summary"


def test_policies_let_only_files_of_ours_run_and_only_the_player_be_framed() -> None:
    with_player = [documents.clip_page(player()), documents.embed_page(player())]
    without = [documents.reset_page("t"), documents.message_page("a", "b")]
    for page in with_player + without:
        assert "default-src 'none'" in page.policy
        assert "unsafe" not in page.policy
    for page in with_player:
        directives = [each.split(" ", 1) for each in page.policy.split("; ") if "script" in each]
        assert directives == [["script-src", "'self'"], ["require-trusted-types-for", "'script'"]]
    for page in without:
        assert "script" not in page.policy
    assert "frame-ancestors 'none'" in documents.clip_page(player()).policy
    assert "frame-ancestors *" in documents.embed_page(player()).policy
    assert "media-src 'self' https://storage.example.com" in documents.clip_page(player()).policy


def test_pages_speak_german_to_who_reads_german() -> None:
    shown = player(
        kind="celebration", view_count=1234, recording_title="<b>", created_at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    html = documents.clip_page(shown, "de").html
    assert '<html lang="de">' in html
    for words in ("Jubel", "1. März 2026", "1.234 Aufrufe", "Herunterladen", "Aus „&lt;b&gt;“.", "Link kopieren"):
        assert words in html
    assert "Adresse bestätigen" in documents.verify_page("t", "de").html
    assert "Neues Passwort" in documents.reset_page("t", "de").html


@pytest.mark.parametrize("render", [documents.clip_page, documents.embed_page])
def test_without_script_the_browsers_controls_play_and_ours_are_hidden(render: object) -> None:
    seen = Elements(render(player()).html).found
    assert [attributes for tag, attributes in seen if tag == "video" and "controls" in attributes]
    drawn = [attributes for _, attributes in seen if attributes.get("class") in {"bar", "big", "btn share", "btn copy"}]
    assert drawn
    assert all("hidden" in attributes for attributes in drawn)


def test_sound_alone_has_no_full_screen() -> None:
    sound = {"mp3": "https://clips.example.com/c/slug/media/mp3"}
    assert "Full screen" in documents.embed_page(player()).html
    assert "Full screen" not in documents.embed_page(player(sources=sound)).html
