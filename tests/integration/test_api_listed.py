"""What lists of recordings and clips say beside the things themselves, and what follows from views and keeping."""

from datetime import datetime
from uuid import uuid4

import pytest
from support.api.server import Person, Service, refused

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}


def test_recording_counts_the_highlights_that_its_list_begins_with(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, scores=(0.95, 0.8, 0.72, 0.6, 0.3))
    quiet_id = service.ready_recording(person, scores=(0.68, 0.66, 0.6, 0.55, 0.2))
    silent_id = service.ready_recording(person, scores=())
    items = {item["id"]: item for item in person.get("/api/recordings").json()["data"]["items"]}
    assert [items[each]["highlight_count"] for each in (recording_id, quiet_id, silent_id)] == [3, 3, 0]
    for each in items:
        listed = person.get(f"/api/recordings/{each}/highlights").json()["data"]["items"]
        assert len(listed) == items[each]["highlight_count"]


def test_recording_says_what_is_being_done_with_it(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person)
    tags = {"parts": service.tags(person, recording_id)}
    job_id = person.post(f"/api/recordings/{recording_id}/complete", tags).json()["data"]["job"]["id"]
    service.execute("UPDATE jobs SET progress = 40, stage = 'listen', eta_s = 90 WHERE id = %(id)s", id=job_id)
    work = person.get(f"/api/recordings/{recording_id}").json()["data"]["work"]
    assert work == {
        "job_id": job_id,
        "kind": "ingest",
        "status": "queued",
        "stage": "listen",
        "progress": 40.0,
        "eta_s": 90.0,
    }
    assert service.person().get(f"/api/recordings/{recording_id}").status_code == 404


def test_totals_count_ones_own_by_status(service: Service) -> None:
    person, other = service.person(), service.person()
    recording_id = service.ready_recording(person)
    service.upload(person)
    service.ready_recording(other)
    assert person.get("/api/recordings/totals").json()["data"] == {
        "all": 2,
        "uploading": 1,
        "live": 0,
        "processing": 0,
        "ready": 1,
        "failed": 0,
    }
    service.ready_clip(person, recording_id)
    totals = person.get("/api/clips/totals").json()["data"]
    assert (totals["all"], totals["completed"], totals["failed"]) == (1, 1, 0)


def test_recording_is_played_by_its_owner_once_it_is_stored(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    data = person.get(f"/api/recordings/{recording_id}/playback").json()["data"]
    played = service.client.get(data["url"], headers={"Range": "bytes=0-2"})
    assert (played.status_code, played.content) == (206, b"sou")
    assert datetime.fromisoformat(data["expires_at"]) > service.deps.clock()
    assert service.person().get(f"/api/recordings/{recording_id}/playback").status_code == 404
    uploading = service.upload(person)
    refused(person.get(f"/api/recordings/{uploading}/playback"), 409)


def test_timeline_is_reduced_to_the_points_that_were_asked_for(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    key = service.rows("SELECT waveform_key FROM recordings WHERE id = %(id)s", id=recording_id)[0]["waveform_key"]
    peaks = ",".join(str(number % 200) for number in range(40))
    content = f'{{"rate":10.0,"duration_s":4.0,"peaks":[{peaks}],"keyframes_s":[0.0]}}'
    service.deps.buckets.recordings.put_bytes(key, content.encode(), content_type="application/json")
    whole = person.get(f"/api/recordings/{recording_id}/timeline").json()["data"]["waveform"]
    reduced = person.get(f"/api/recordings/{recording_id}/timeline?points=10").json()["data"]["waveform"]
    assert (len(whole["peaks"]), whole["rate"]) == (40, 10.0)
    assert reduced["peaks"] == [3, 7, 11, 15, 19, 23, 27, 31, 35, 39]
    assert reduced["rate"] == 2.5
    refused(person.get(f"/api/recordings/{recording_id}/timeline?points=1"), 422, "points")


def test_clip_shows_its_picture_and_what_it_was_cut_from(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, title="Friday talk")
    [highlight, *_] = person.get(f"/api/recordings/{recording_id}/highlights").json()["data"]["items"]
    service.ready_clip(person, recording_id, highlight_id=highlight["id"])
    [clip] = person.get("/api/clips").json()["data"]["items"]
    assert (clip["recording_title"], clip["kind"]) == ("Friday talk", "humor")
    assert service.client.get(clip["thumbnail_url"]).content == b"the thumbnail"
    assert clip["preview_url"] is None


@pytest.mark.parametrize(
    ("agent", "counted"),
    [(BROWSER["User-Agent"], 1), ("Mozilla/5.0 (compatible; Googlebot/2.1)", 0), ("WhatsApp/2.23", 0), ("", 0)],
)
def test_people_who_open_a_shared_clip_are_counted(service: Service, agent: str, counted: int) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    share = person.post(f"/api/clips/{clip_id}/share", {}).json()["data"]
    assert share["platform"] == "direct_link"
    assert service.client.get(f"/c/{share['slug']}", headers={"User-Agent": agent}).status_code == 200
    service.client.get(f"/c/{uuid4().hex}", headers={"User-Agent": agent})
    clip = person.get(f"/api/clips/{clip_id}").json()["data"]
    assert (clip["view_count"], clip["share_count"]) == (counted, 1)


def test_clip_that_is_kept_does_not_expire_until_it_is_let_go(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    assert person.get(f"/api/clips/{clip_id}").json()["data"]["expires_at"]
    kept = person.patch(f"/api/clips/{clip_id}", {"keep": True}).json()["data"]
    assert (kept["is_kept"], kept["expires_at"]) == (True, None)
    assert person.patch(f"/api/clips/{clip_id}", {"title": "Named"}).json()["data"]["is_kept"] is True
    released = person.patch(f"/api/clips/{clip_id}", {"keep": False}).json()["data"]
    assert released["is_kept"] is False
    assert datetime.fromisoformat(released["expires_at"]) > service.deps.clock()
    refused(service.person().patch(f"/api/clips/{clip_id}", {"keep": True}), 404)


def titles_in(person: Person, things: str, sort: str) -> list[str]:
    """The titles of a whole list, page by page."""
    titles: list[str] = []
    cursor = None
    while True:
        query = {"limit": "2", "sort": sort, **({"cursor": cursor} if cursor else {})}
        answer = person.get(f"/api/{things}", params=query).json()["data"]
        titles += [item["title"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return titles


SORTED = {
    "newest": ["zebra", "Émile", "Apple", "apple", "banana"],
    "oldest": ["banana", "apple", "Apple", "Émile", "zebra"],
    "longest": ["Apple", "zebra", "banana", "apple", "Émile"],
    "name": ["apple", "Apple", "banana", "zebra", "Émile"],
}


@pytest.mark.parametrize("sort", SORTED)
def test_recordings_and_clips_are_listed_in_every_order(service: Service, sort: str) -> None:
    person = service.person(tier="pro")
    recording_id = service.ready_recording(person)
    ids = {}
    for title, length_s in (("banana", 20.0), ("apple", 10.0), ("Apple", 40.0), ("Émile", 10.0), ("zebra", 30.0)):
        asked = {"recording_id": recording_id, "title": title, "start_s": 0.25, "end_s": 0.25 + length_s}
        person.post("/api/clips", asked)
        ids[title] = service.upload(person, title=title)
        service.execute("UPDATE recordings SET duration_s = %(s)s WHERE id = %(id)s", s=length_s or None, id=ids[title])
    person.delete(f"/api/recordings/{recording_id}")
    # Rows of one key follow their id, which here is chance: what is told apart by it is compared as a set.
    for things in ("recordings", "clips"):
        found = titles_in(person, things, sort)
        if sort == "longest":
            assert set(found[3:]) == {"apple", "Émile"}
            found[3:] = ["apple", "Émile"]
        if sort == "name":
            assert set(found[:2]) == {"apple", "Apple"}
            found[:2] = ["apple", "Apple"]
        assert found == SORTED[sort], things


@pytest.mark.parametrize("things", ["recordings", "clips"])
def test_unknown_order_and_a_cursor_of_another_one_are_refused(service: Service, things: str) -> None:
    person = service.person()
    refused(person.get(f"/api/{things}?sort=size"), 422, "sort")
    service.upload(person, title="a")
    service.upload(person, title="b")
    cursor = person.get("/api/recordings?limit=1&sort=name").json()["data"]["next_cursor"]
    refused(person.get(f"/api/{things}?sort=longest&cursor={cursor}"), 422, "cursor")
