"""Creates polls and votes over HTTP."""

from typing import Any

from support.api.server import Person


def ask(person: Person, room: dict[str, Any], **asked: Any) -> dict[str, Any]:
    """Create a poll of one minute with two options, or others."""
    body = {"poll_type": "topic", "question": "What next?", "options": ["Trains", "Ships"], "duration_seconds": 60}
    answer = person.post(f"/api/rooms/{room['id']}/polls/create", {**body, **asked})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def vote(person: Person, poll: dict[str, Any], option_id: str = "1") -> dict[str, Any]:
    """Vote in a poll."""
    answer = person.post(f"/api/polls/{poll['id']}/vote", {"option_id": option_id})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])
