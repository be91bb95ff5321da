"""The timeline and the highlights of a recording: listed, paged, and scored again."""

from typing import Any

import pytest
from support.api.server import Service, refused

from pipeline.types import SIGNALS


def test_timeline_has_what_a_page_draws(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    data = person.get(f"/api/recordings/{recording_id}/timeline").json()["data"]
    assert data["waveform"]["peaks"] == [1, 2, 3]
    assert data["curve"]["values"] == [0.1, 0.9]
    assert data["keyframes_s"] == [0.0, 2.0]
    assert data["duration_s"] == 120.0
    refused(person.get(f"/api/recordings/{service.upload(person)}/timeline"), 409)


def test_highlights_are_listed_best_first_with_reasons(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    data = person.get(f"/api/recordings/{recording_id}/highlights").json()["data"]
    assert [item["score"] for item in data["items"]] == [0.95, 0.8, 0.72]
    assert data["sensitivity"] == 0.7
    assert data["items"][0]["reasons"] == [{"signal": "loudness", "weight": 1.0, "contribution": 0.95}]
    assert {"id", "start_s", "end_s", "peak_s", "kind"} <= data["items"][0].keys()


@pytest.mark.parametrize(
    ("scores", "query", "expected"),
    [
        ((0.95, 0.8, 0.6), "", [0.95, 0.8]),
        ((0.65, 0.6, 0.55, 0.52, 0.3), "", [0.65, 0.6, 0.55]),
        ((0.4, 0.3), "", []),
        ((0.65, 0.6), "?sensitivity=0.7", []),
        ((0.95, 0.6, 0.3), "?sensitivity=0", [0.95, 0.6, 0.3]),
        ((0.95, 0.6, 0.3), "?sensitivity=1", []),
    ],
)
def test_least_score_decides_what_counts(
    service: Service, scores: tuple[float, ...], query: str, expected: list[float]
) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, scores=scores)
    data = person.get(f"/api/recordings/{recording_id}/highlights{query}").json()["data"]
    assert [item["score"] for item in data["items"]] == expected


def test_highlights_of_equal_score_are_paged_without_loss(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, scores=(0.9,) * 5)
    seen, cursor = [], ""
    while cursor is not None:
        query = f"?limit=2&cursor={cursor}" if cursor else "?limit=2"
        data = person.get(f"/api/recordings/{recording_id}/highlights{query}").json()["data"]
        seen += [item["id"] for item in data["items"]]
        cursor = data["next_cursor"]
    assert len(seen) == len(set(seen)) == 5


def test_scoring_by_sensitivity_and_number_is_answered_at_once(service: Service) -> None:
    person = service.person()
    path = f"/api/recordings/{service.ready_recording(person)}/highlights"
    for body, expected in (
        ({"sensitivity": 0.5, "top": 2}, [0.95, 0.8]),
        ({}, [0.95, 0.8, 0.72]),
        (None, [0.95, 0.8, 0.72]),
    ):
        answer = person.post(path, body)
        assert answer.status_code == 200
        assert [item["score"] for item in answer.json()["data"]["items"]] == expected
    assert service.rows("SELECT 1 FROM jobs") == []


def test_scoring_by_weights_or_lengths_is_a_job(service: Service) -> None:
    person = service.person()
    path = f"/api/recordings/{service.ready_recording(person)}/highlights"
    answer = person.post(path, {"weights": {"laughter": 2}, "min_s": 8, "sensitivity": 0.6})
    assert answer.status_code == 202
    assert answer.json()["data"]["job"]["kind"] == "detect"
    (row,) = service.rows("SELECT payload FROM jobs")
    assert row["payload"] == {
        "options": {"weights": {"laughter": 2}, "min_s": 8, "sensitivity": 0.6},
        "store": True,
        "auto_clips": None,
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sensitivity": 2}, "sensitivity"),
        ({"top": 0}, "top"),
        ({"min_s": 20, "max_s": 10}, "min_s"),
        ({"min_s": 0.5}, "min_s"),
        ({"weights": {"laughter": -1}}, "weights"),
        ({"weights": {"laughter": 11}}, "weights"),
        ({"weights": {"laughter": None}}, "weights"),
        ({"weights": {"voice": 1}}, "weights"),
        ({"weight": {}}, "weight"),
    ],
)
def test_scoring_that_makes_no_sense_is_refused(service: Service, body: dict[str, Any], field: str) -> None:
    person = service.person()
    refused(person.post(f"/api/recordings/{service.ready_recording(person)}/highlights", body), 422, field)


def test_weight_of_an_unknown_signal_is_refused_with_those_that_there_are(service: Service) -> None:
    person = service.person()
    path = f"/api/recordings/{service.ready_recording(person)}/highlights"
    error = refused(person.post(path, {"weights": {"laughter": 1, "voice": 2}}), 422, "weights")
    assert "There is no signal 'voice' to weigh. There are: laughter, " in error["message"]
    assert error["details"]["allowed"] == list(SIGNALS)
    assert service.rows("SELECT 1 FROM jobs") == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"min_s": 90}, {"min_s": 90, "max_s": 90}),
        ({"max_s": 3}, {"min_s": 3, "max_s": 3}),
        ({"min_s": 6}, {"min_s": 6}),
        ({"max_s": 50}, {"max_s": 50}),
    ],
)
def test_one_limit_of_length_moves_the_other_out_of_its_way(
    service: Service, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    person = service.person()
    assert person.post(f"/api/recordings/{service.ready_recording(person)}/highlights", body).status_code == 202
    (row,) = service.rows("SELECT payload FROM jobs")
    assert row["payload"]["options"] == expected


def test_recording_without_sound_says_so(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, has_audio=False, scores=())
    error = refused(person.post(f"/api/recordings/{recording_id}/highlights", {}), 409)
    assert "no sound to listen to" in error["message"]
    assert person.get(f"/api/recordings/{recording_id}/highlights").json()["data"]["items"] == []


def test_recording_on_its_way_is_worth_another_try(service: Service) -> None:
    person = service.person()
    error = refused(person.post(f"/api/recordings/{service.upload(person)}/highlights", {}), 409)
    assert (error["code"], error["retryable"]) == ("not_ready", True)
