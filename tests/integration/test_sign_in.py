"""One-time codes, recovery codes and passkeys through HTTP."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest
from support.api.authenticator import Authenticator
from support.api.server import LOCAL, PASSWORD, Person, Service, refused


def login(service: Service, person: Person, **more: Any) -> httpx.Response:
    return service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD, **more})


class WithCodes:
    """Somebody whose account asks for one-time codes."""

    def __init__(self, service: Service) -> None:
        self.person = service.person()
        made = self.person.post("/api/me/totp").json()["data"]
        assert (made["status"], made["uri"][:10]) == ("pending", "otpauth://")
        self.totp = pyotp.TOTP(made["secret"])
        confirmed = self.person.post("/api/me/totp/confirm", {"code": self.code()})
        assert confirmed.status_code == 200, confirmed.text
        self.recovery = confirmed.json()["data"]["recovery_codes"]

    def code(self, steps: int = 0) -> str:
        return self.totp.at(datetime.now(UTC) + timedelta(seconds=30 * steps))


@pytest.fixture
def ada(service: Service) -> WithCodes:
    return WithCodes(service)


def test_login_asks_for_a_code_once_the_app_has_proved_one(service: Service, ada: WithCodes) -> None:
    needed = refused(login(service, ada.person), 401)
    assert needed["code"] == "second_factor_required"
    assert refused(login(service, ada.person, code="000000"), 401)["code"] == "unauthenticated"
    assert login(service, ada.person, code=ada.code(1)).status_code == 200
    listed = ada.person.get("/api/me/sessions").json()["data"]["items"]
    assert listed[0]["method"] == "totp"
    wrong = service.client.post(
        "/api/auth/login", json={"email": ada.person.email, "password": "wrong", "code": "1" * 6}
    )
    assert refused(wrong, 401)["code"] == "unauthenticated"


def test_code_works_once(service: Service, ada: WithCodes) -> None:
    code = ada.code(1)
    assert login(service, ada.person, code=code).status_code == 200
    assert login(service, ada.person, code=code).status_code == 401


def test_recovery_code_works_once_however_it_is_written(service: Service, ada: WithCodes) -> None:
    assert len(set(ada.recovery)) == 10
    written = f" {ada.recovery[0][:5].lower()}-{ada.recovery[0][5:]} "
    assert login(service, ada.person, code=written).status_code == 200
    assert login(service, ada.person, code=written).status_code == 401
    assert ada.person.get("/api/me/totp").json()["data"] == {"status": "active", "recovery_codes_left": 9}


def test_codes_cannot_be_guessed(service: Service, ada: WithCodes) -> None:
    statuses = [login(service, ada.person, code=f"{number:06}").status_code for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert login(service, ada.person, code=ada.code(1)).status_code == 429


def test_code_in_other_letters_is_wrong_and_no_fault(service: Service, ada: WithCodes) -> None:
    assert login(service, ada.person, code="١٢٣٤٥٦").status_code == 401


def test_repeated_signup_asks_for_the_code_too(service: Service) -> None:
    body = {"email": "grace@example.org", "password": PASSWORD}
    headers = {"Idempotency-Key": "k"}
    token = service.client.post("/api/auth/signup", json=body, headers=headers).json()["data"]["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    secret = service.client.post("/api/me/totp", headers=bearer).json()["data"]["secret"]
    code = {"code": pyotp.TOTP(secret).now()}
    assert service.client.post("/api/me/totp/confirm", json=code, headers=bearer).status_code == 200
    again = service.client.post("/api/auth/signup", json=body, headers=headers)
    assert refused(again, 401)["code"] == "second_factor_required"


def test_codes_are_removed_with_proof_alone(service: Service, ada: WithCodes) -> None:
    service.execute("UPDATE sessions SET created_at = now() - interval '1 hour'")
    assert refused(ada.person.delete("/api/me/totp"), 403)["code"] == "fresh_login_required"
    assert ada.person.request("DELETE", "/api/me/totp", json={"password": "wrong"}).status_code == 403
    assert ada.person.request("DELETE", "/api/me/totp", json={"password": PASSWORD}).status_code == 200
    assert login(service, ada.person).status_code == 200
    assert service.rows("SELECT 1 FROM recovery_codes") == []


def test_secret_is_sealed_in_the_database(service: Service, ada: WithCodes) -> None:
    (row,) = service.rows("SELECT totp_secret FROM totp_secrets")
    assert ada.totp.secret.encode() not in bytes(row["totp_secret"])


def add_passkey(person: Person, device: Authenticator, name: str = "Laptop") -> httpx.Response:
    options = person.post("/api/me/passkeys/options").json()["data"]
    return person.post("/api/me/passkeys", {"name": name, "credential": device.create(options)})


def enter(service: Service, device: Authenticator) -> httpx.Response:
    options = service.client.post("/api/auth/passkey/options").json()["data"]
    return service.client.post("/api/auth/passkey/login", json={"credential": device.get(options)})


def test_passkey_logs_in_without_a_password(service: Service) -> None:
    person, device = service.person(), Authenticator(LOCAL)
    added = add_passkey(person, device)
    assert (added.status_code, added.json()["data"]["name"]) == (201, "Laptop")
    entered = enter(service, device)
    assert entered.status_code == 200, entered.text
    data = entered.json()["data"]
    assert data["user"]["id"] == str(person.id)
    me = service.client.get("/api/me/sessions", headers={"Authorization": f"Bearer {data['token']}"}).json()["data"]
    assert me["items"][0]["method"] == "passkey"
    (listed,) = person.get("/api/me/passkeys").json()["data"]["items"]
    assert listed["last_used_at"] is not None
    assert refused(add_passkey(person, device), 409)
    assert service.person().delete(f"/api/me/passkeys/{listed['id']}").status_code == 404
    assert person.delete(f"/api/me/passkeys/{listed['id']}").status_code == 200
    assert enter(service, device).status_code == 401


def test_passkey_of_another_site_without_its_user_or_copied_is_refused(service: Service) -> None:
    person = service.person()
    refused(add_passkey(person, Authenticator("https://evil.example")), 422, "credential")
    refused(add_passkey(person, Authenticator(LOCAL, verifies_user=False)), 422, "credential")
    device = Authenticator(LOCAL)
    add_passkey(person, device)
    copied = copy.copy(device)
    assert enter(service, device).status_code == 200
    assert enter(service, copied).status_code == 401
    assert enter(service, Authenticator(LOCAL)).status_code == 401


def test_challenge_is_answered_once_and_by_whom_it_was_given(service: Service) -> None:
    person, device = service.person(), Authenticator(LOCAL)
    add_passkey(person, device)
    options = service.client.post("/api/auth/passkey/options").json()["data"]
    credential = device.get(options)
    assert service.client.post("/api/auth/passkey/login", json={"credential": credential}).status_code == 200
    again = service.client.post("/api/auth/passkey/login", json={"credential": credential})
    refused(again, 422, "credential")
    stranger = service.person()
    mine = person.post("/api/me/passkeys/options").json()["data"]
    body = {"name": "Stolen", "credential": Authenticator(LOCAL).create(mine)}
    refused(stranger.post("/api/me/passkeys", body), 422, "credential")
    for nonsense in ({}, {"response": {}}, {"response": {"clientDataJSON": "bm90IGpzb24"}}, {"id": 7}):
        answer = service.client.post("/api/auth/passkey/login", json={"credential": nonsense})
        refused(answer, 422, "credential")


def test_new_ways_to_sign_in_are_mailed(service: Service) -> None:
    person = WithCodes(service).person
    add_passkey(person, Authenticator(LOCAL), name="Phone\u202e")
    mails = service.rows("SELECT recipient, payload ->> 'method' AS method FROM mails ORDER BY created_at")
    assert [(mail["recipient"], mail["method"]) for mail in mails] == [
        (person.email, "totp"),
        (person.email, "passkey"),
    ]
