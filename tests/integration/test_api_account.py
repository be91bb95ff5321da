from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs
from support.api.server import PASSWORD, Person, Service


def key_of(person: Person, name: str = "uploader", **options: object) -> dict[str, str]:
    answer = person.post("/api/me/keys", {"name": name}, **options)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def with_key(service: Service, key: str, method: str = "GET", path: str = "/api/me") -> int:
    return service.client.request(method, path, headers={"Authorization": f"Bearer {key}"}).status_code


def test_profile_is_changed_and_trimmed(service: Service) -> None:
    person = service.person()
    assert person.patch("/api/me", {"display_name": "  Ada  "}).json()["data"]["display_name"] == "Ada"
    assert person.get("/api/me").json()["data"]["display_name"] == "Ada"


def test_new_password_needs_the_old_one_and_ends_sessions(service: Service) -> None:
    person = service.person()
    assert person.patch("/api/me", {"password": "a new password"}).status_code == 422
    wrong = person.patch("/api/me", {"password": "a new password", "current_password": "wrong"})
    assert wrong.status_code == 403
    right = person.patch("/api/me", {"password": "a new password", "current_password": PASSWORD})
    assert right.status_code == 200
    assert person.get("/api/me").status_code == 401
    body = {"email": person.email, "password": "a new password"}
    assert service.client.post("/api/auth/login", json=body).status_code == 200


def test_api_key_works_until_it_is_deleted_and_is_shown_once(service: Service) -> None:
    person = service.person(tier="pro")
    made = key_of(person)
    assert made["key"].startswith("snk_")
    assert made["key"].startswith(made["prefix"])
    assert with_key(service, made["key"]) == 200
    listed = person.get("/api/me/keys")
    assert [key["id"] for key in listed.json()["data"]["items"]] == [made["id"]]
    assert listed.json()["data"]["items"][0]["last_used_at"] is not None
    assert made["key"] not in listed.text
    assert person.delete(f"/api/me/keys/{made['id']}").json()["data"]["status"] == "revoked"
    assert with_key(service, made["key"]) == 401
    assert person.delete(f"/api/me/keys/{made['id']}").status_code == 404
    (row,) = service.rows("SELECT key_hash FROM api_keys")
    assert made["key"].encode() not in row["key_hash"]


def test_credentials_in_the_query_open_nothing_and_are_not_logged(service: Service) -> None:
    person = service.person(tier="pro")
    key = person.post("/api/me/keys", {"name": "uploader"}).json()["data"]["key"]
    for name in ("api_key", "key", "token", "access_token", "authorization"):
        with capture_logs() as logs:
            answer = service.client.get("/api/clips", params={name: key})
        assert answer.status_code in (401, 422)
        assert key not in answer.text
        assert key not in str(logs)
        assert person.get("/api/clips", params={name: key}).status_code == 422


def test_api_keys_are_for_tiers_that_include_them(service: Service) -> None:
    answer = service.person().post("/api/me/keys", {"name": "uploader"})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "tier_required"


def test_api_key_stops_working_when_the_tier_ends(service: Service) -> None:
    person = service.person(tier="pro")
    key = key_of(person)["key"]
    service.execute("UPDATE subscriptions SET status = 'canceled' WHERE user_id = %(id)s", id=person.id)
    assert with_key(service, key) == 403


def test_api_key_cannot_make_keys_or_delete_the_account(service: Service) -> None:
    key = key_of(service.person(tier="pro"))["key"]
    assert with_key(service, key, "POST", "/api/me/keys") == 403
    assert with_key(service, key, "DELETE") == 403
    assert with_key(service, key, "GET", "/api/me/export") == 403
    assert with_key(service, key, "POST", "/api/me/export") == 403


def test_repeated_request_for_a_key_shows_the_key_as_it_is_by_then_and_no_secret(service: Service) -> None:
    person = service.person(tier="pro")
    headers = {"Idempotency-Key": "k"}
    first = key_of(person, headers=headers)
    second = key_of(person, headers=headers)
    assert (second["id"], second["status"], second["key"]) == (first["id"], "active", None)
    person.delete(f"/api/me/keys/{first['id']}")
    third = key_of(person, headers=headers)
    assert (third["id"], third["status"], third["key"]) == (first["id"], "revoked", None)
    (kept,) = service.rows("SELECT response::text AS response FROM idempotency_keys")
    assert first["key"] not in kept["response"]


def test_key_that_may_read_changes_nothing(service: Service) -> None:
    person = service.person(tier="pro")
    made = person.post("/api/me/keys", {"name": "reader", "scopes": ["read"]}).json()["data"]
    assert made["scopes"] == ["read"]
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert service.client.get("/api/clips", headers=headers).status_code == 200
    body = {"recording_id": service.ready_recording(person), "start_s": 0, "end_s": 10}
    refused = service.client.post("/api/clips", json=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert person.post("/api/me/keys", {"name": "none", "scopes": []}).status_code == 422
    assert person.post("/api/me/keys", {"name": "other", "scopes": ["admin"]}).status_code == 422


def test_key_ends_when_it_was_made_to(service: Service) -> None:
    person = service.person(tier="pro")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = person.post("/api/me/keys", {"name": "short", "expires_at": later}).json()["data"]
    assert with_key(service, made["key"]) == 200
    service.execute("UPDATE api_keys SET expires_at = now() - interval '1 second'")
    assert with_key(service, made["key"]) == 401
    assert person.get("/api/me/keys").json()["data"]["items"][0]["status"] == "expired"
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert person.post("/api/me/keys", {"name": "late", "expires_at": past}).status_code == 422


def test_deleted_account_takes_everything_along(service: Service) -> None:
    person, other = service.person(), service.person()
    service.ready_clip(person)
    kept = service.ready_clip(other)
    open_upload = service.upload(person)
    assert open_upload
    assert person.delete("/api/me").status_code == 200
    assert person.get("/api/me").status_code == 401
    for table in ("recordings", "highlights", "clips", "usage_quotas"):
        owners = {row["user_id"] for row in service.rows(f"SELECT user_id FROM {table}")}  # noqa: S608 - names above
        assert person.id not in owners
    sweeps = service.rows("SELECT payload, user_id, run_at > now() AS later FROM jobs WHERE kind = 'delete_objects'")
    found = {(row["payload"]["bucket"], row["payload"]["prefix"], row["user_id"], row["later"]) for row in sweeps}
    expected = {(bucket, f"{person.id}/", None, later) for bucket in ("recordings", "clips") for later in (False, True)}
    assert found == expected
    assert other.get(f"/api/clips/{kept}").status_code == 200
    login = service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    assert login.status_code == 401


def test_deletion_with_a_wrong_password_is_refused(service: Service) -> None:
    person = service.person()
    assert person.request("DELETE", "/api/me", json={"password": "wrong"}).status_code == 403
    assert person.get("/api/me").status_code == 200
    assert person.request("DELETE", "/api/me", json={"password": PASSWORD}).status_code == 200
