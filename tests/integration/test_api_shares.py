import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from support.api.server import LOCAL, Person, Service


def share(person: Person, clip_id: str, platform: str = "direct_link", **more: Any) -> dict[str, Any]:
    answer = person.post(f"/api/clips/{clip_id}/share", {"platform": platform, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def test_link_opens_a_page_whose_player_reaches_the_file(service: Service) -> None:
    person = service.person()
    made = share(person, service.ready_clip(person, title="<The> demo"))
    assert made["url"] == f"{LOCAL}/c/{made['slug']}"
    page = service.client.get(made["url"])
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "&lt;The&gt; demo" in page.text
    assert "<The>" not in page.text
    source = f"{LOCAL}/c/{made['slug']}/media/mp4"
    assert source in page.text
    assert service.client.get(source, follow_redirects=True).content == b"the moving images"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"media-src 'self' {LOCAL}" in policy
    assert page.headers["Cache-Control"] == "no-store"


def test_player_may_be_framed_and_the_page_may_not(service: Service) -> None:
    person = service.person()
    made = share(person, service.ready_clip(person))
    assert "frame-ancestors *" in service.client.get(made["embed_url"]).headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in service.client.get(made["url"]).headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("platform", "start"),
    [
        ("twitter", "https://twitter.com/intent/tweet?url=http%3A%2F%2Ftestserver.local%2Fc%2F"),
        ("facebook", "https://www.facebook.com/sharer/sharer.php?u="),
        ("whatsapp", "https://wa.me/?text="),
        ("reddit", "https://www.reddit.com/submit?url="),
        ("direct_link", f"{LOCAL}/c/"),
        ("embed", f"{LOCAL}/embed/"),
        ("download", f"{LOCAL}/c/"),
    ],
)
def test_each_platform_gets_what_it_opens(service: Service, platform: str, start: str) -> None:
    person = service.person()
    made = share(person, service.ready_clip(person), platform)
    assert made["share_url"].startswith(start)
    assert (made["platform"], made["status"]) == (platform, "active")


def test_download_link_saves_the_file_under_its_title(service: Service) -> None:
    person = service.person()
    made = share(person, service.ready_clip(person, title="The demo"), "download")
    answer = service.client.get(made["share_url"], follow_redirects=True)
    assert answer.content == b"the moving images"
    assert 'filename="The demo.mp4"' in answer.headers["Content-Disposition"]


def test_expired_revoked_and_made_up_links_look_alike(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    expired = share(person, clip_id, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert service.client.get(expired["url"]).status_code == 200
    service.execute("UPDATE clip_shares SET expires_at = now() - interval '1 second'")
    revoked = share(person, clip_id)
    assert person.delete(f"/api/clips/{clip_id}/share?slug={revoked['slug']}").json()["data"]["revoked"] == 1
    pages = [service.client.get(f"{LOCAL}/c/{slug}") for slug in (expired["slug"], revoked["slug"], "x" * 20, "short")]
    assert {page.status_code for page in pages} == {404}
    assert len({page.text for page in pages}) == 1
    for slug in (expired["slug"], revoked["slug"]):
        assert service.client.get(f"{LOCAL}/embed/{slug}").status_code == 404
        assert service.client.get(f"{LOCAL}/c/{slug}/media/mp4", follow_redirects=False).status_code == 404
        assert service.client.get(f"{LOCAL}/c/{slug}/waveform.svg").status_code == 404
        assert service.client.get("/oembed", params={"url": f"{LOCAL}/c/{slug}"}).status_code == 404


def test_player_draws_the_sound_of_the_clip_alone(service: Service) -> None:
    person = service.person()
    made = share(person, service.ready_clip(person))
    address = f"{made['url']}/waveform.svg"
    assert address in service.client.get(made["url"]).text
    (row,) = service.rows(
        "SELECT r.waveform_key, c.start_s, c.end_s FROM clips c JOIN recordings r ON r.id = c.recording_id"
    )
    drawn = service.client.get(address)
    assert (drawn.headers["Content-Type"], drawn.text.count("M")) == ("image/svg+xml", 0), (
        "three points are no waveform"
    )
    peaks = [255 if row["start_s"] <= at / 10 < row["end_s"] else 1 for at in range(1200)]
    peaks[round(row["start_s"] * 10)] = 0
    data = msgspec.json.encode({"rate": 10.0, "duration_s": 120.0, "peaks": peaks})
    service.deps.buckets.recordings.put_bytes(row["waveform_key"], data, content_type="application/json")
    drawn = service.client.get(address)
    length = round(10 * (row["end_s"] - row["start_s"]))
    assert length > 30
    assert drawn.text.count(" 1.0V39.0") == length - 1, (
        "loud from beginning to end, but for the first tenth of a second"
    )
    assert drawn.text.count("M") == length
    service.execute("UPDATE recordings SET waveform_key = NULL")
    assert "waveform.svg" not in service.client.get(made["url"]).text
    assert service.client.get(address).status_code == 404


def test_revoking_closes_every_link_of_the_clip_alone(service: Service) -> None:
    person = service.person()
    clip_id, other = service.ready_clip(person), service.ready_clip(person)
    links = [share(person, clip_id)["url"] for _ in range(2)]
    kept = share(person, other)["url"]
    assert person.delete(f"/api/clips/{clip_id}/share").json()["data"]["revoked"] == 2
    assert person.delete(f"/api/clips/{clip_id}/share").json()["data"]["revoked"] == 0
    assert [service.client.get(url).status_code for url in links] == [404, 404]
    assert service.client.get(kept).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"platform": "myspace"}, "platform"),
        ({"platform": "embed", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"platform": "embed", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"platform": "embed", "expires_at": "soon"}, "expires_at"),
    ],
)
def test_share_that_makes_no_sense_is_refused(service: Service, body: dict[str, Any], field: str) -> None:
    person = service.person()
    answer = person.post(f"/api/clips/{service.ready_clip(person)}/share", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == field


def test_clip_that_is_not_finished_cannot_be_shared(service: Service) -> None:
    person = service.person()
    body = {"recording_id": service.ready_recording(person), "start_s": 0, "end_s": 10}
    clip_id = person.post("/api/clips", body).json()["data"]["clip"]["id"]
    assert person.post(f"/api/clips/{clip_id}/share", {"platform": "embed"}).status_code == 409


def test_oembed_describes_the_player_in_its_own_words(service: Service) -> None:
    person = service.person()
    made = share(person, service.ready_clip(person, title="The <demo>"))
    answer = service.client.get("/oembed", params={"url": made["url"], "maxwidth": 320})
    data = answer.json()
    assert (data["version"], data["type"], data["title"]) == ("1.0", "video", "The <demo>")
    assert (data["width"], data["height"]) == (320, 180)
    assert made["embed_url"] in data["html"]
    assert "<demo>" not in data["html"]
    assert data["thumbnail_url"] == f"{made['url']}/media/jpeg"
    assert service.client.get("/oembed", params={"url": made["url"], "format": "xml"}).status_code == 501
    assert service.client.get("/oembed", params={"url": "https://example.com/c/x"}).status_code == 404
    nameless = service.client.get("/oembed")
    assert nameless.status_code == 422
    assert nameless.json()["error"]["details"] == {"field": "url"}


@pytest.mark.parametrize("download", ["", "?download=1"])
def test_address_of_the_file_ends_with_the_link_and_within_minutes(service: Service, download: str) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    soon = (datetime.now(UTC) + timedelta(seconds=90)).isoformat()
    for made, longest_s in ((share(person, clip_id), 600), (share(person, clip_id, expires_at=soon), 90)):
        answer = service.client.get(f"/c/{made['slug']}/media/mp4{download}", follow_redirects=False)
        address = parse_qs(urlsplit(answer.headers["Location"]).query)
        ends_at = int(address["expires"][0])
        assert longest_s - 10 < ends_at - time.time() <= longest_s
