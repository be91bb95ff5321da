"""Ways into an account that must stay closed: replays, sessions that ended, guesses, deletion without proof."""

import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm
from msgspec.structs import replace
from structlog.testing import capture_logs
from support.api.server import PASSWORD, Person, Service, listening, refused
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from api.http.client_address import limit_key
from api.realtime.limits import Limits
from services.process.settings import Settings

NEW_PASSWORD = "another password altogether"


def reset_token(service: Service, email: str) -> str:
    with capture_logs() as logs:
        service.client.post("/api/auth/forgot", json={"email": email})
    (link,) = [entry["link"] for entry in logs if entry["event"] == "mail"]
    return str(link.rsplit("/", 1)[1])


def reset(service: Service, email: str) -> None:
    body = {"token": reset_token(service, email), "password": NEW_PASSWORD}
    assert service.client.post("/api/auth/reset", json=body).status_code == 200


def test_signup_repeated_after_a_reset_opens_nothing(service: Service) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    headers = {"Idempotency-Key": "first"}
    assert service.client.post("/api/auth/signup", json=body, headers=headers).status_code == 201
    reset(service, "ada@example.com")
    again = service.client.post("/api/auth/signup", json=body, headers=headers)
    assert refused(again, 409)["code"] == "email_taken"
    assert "token" not in again.text.replace("idempot", "")


def test_repeated_signup_gets_a_session_of_its_own(service: Service) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    first, second = (
        service.client.post("/api/auth/signup", json=body, headers={"Idempotency-Key": "k"}).json()["data"]
        for _ in range(2)
    )
    assert first["token"] != second["token"]
    (kept,) = service.rows("SELECT response::text AS text FROM idempotency_keys")
    assert json.loads(kept["text"]) == {"id": first["id"]}


def ways_in(service: Service, person: Person) -> dict[str, int]:
    """The status of each way into an account: a session, a token without one, an API key."""
    return {
        name: service.client.get("/api/me", headers={"Authorization": f"Bearer {token}"}).status_code
        for name, token in (
            ("session", person.token),
            ("token", person.other),  # type: ignore[attr-defined] # set by `opened`
            ("key", person.key),  # type: ignore[attr-defined] # the same
        )
    }


@pytest.fixture
def opened(service: Service) -> Person:
    """Somebody who has opened every way into the account."""
    person = service.person(tier="pro")
    person.other = service.deps.tokens.issue(person.id).token  # type: ignore[attr-defined] # of this test alone
    person.key = person.post("/api/me/keys", {"name": "script"}).json()["data"]["key"]  # type: ignore[attr-defined]
    assert set(ways_in(service, person).values()) == {200}
    return person


@pytest.mark.parametrize("way", ["change", "reset", "everywhere"])
@pytest.mark.parametrize("keep", [False, True])
def test_new_password_and_logging_out_everywhere_close_every_way_in(
    service: Service, opened: Person, way: str, *, keep: bool
) -> None:
    link = reset_token(service, opened.email)
    if way == "change":
        body = {"password": NEW_PASSWORD, "current_password": PASSWORD, "keep_api_keys": keep}
        assert opened.patch("/api/me", body).status_code == 200
    elif way == "reset":
        fresh = {"token": reset_token(service, opened.email), "password": NEW_PASSWORD, "keep_api_keys": keep}
        assert service.client.post("/api/auth/reset", json=fresh).status_code == 200
    else:
        assert opened.post("/api/auth/logout", {"everywhere": True, "keep_api_keys": keep}).status_code == 200
    assert ways_in(service, opened) == {"session": 401, "token": 401, "key": 200 if keep else 401}
    late = service.client.post("/api/auth/reset", json={"token": link, "password": "the attacker's own"})
    assert late.status_code == 422


def test_sessions_are_listed_and_ended_one_by_one(service: Service) -> None:
    person, stranger = service.person(), service.person()
    login = {"email": person.email, "password": PASSWORD}
    agent = {"User-Agent": b"Laptop\x07 1"}
    other = service.client.post("/api/auth/login", json=login, headers=agent).json()["data"]["token"]
    items = person.get("/api/me/sessions").json()["data"]["items"]
    assert [(item["method"], item["is_current"]) for item in items] == [("password", False), ("signup", True)]
    assert items[0]["user_agent"] == "Laptop 1"
    path = f"/api/me/sessions/{items[0]['id']}"
    assert stranger.delete(path).status_code == 404
    assert person.delete(path).status_code == 200
    assert person.delete(path).status_code == 404
    assert service.client.get("/api/me", headers={"Authorization": f"Bearer {other}"}).status_code == 401
    assert person.get("/api/me").status_code == 200


def test_other_sessions_end_and_this_one_stays(service: Service, opened: Person) -> None:
    login = {"email": opened.email, "password": PASSWORD}
    other = service.client.post("/api/auth/login", json=login).json()["data"]["token"]
    assert opened.delete("/api/me/sessions").status_code == 200
    assert service.client.get("/api/me", headers={"Authorization": f"Bearer {other}"}).status_code == 401
    assert ways_in(service, opened) == {"session": 200, "token": 401, "key": 200}


def test_supabase_token_is_exchanged_for_a_session_in_a_cookie(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = PyJWK({**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "ES256", "use": "sig"})
    monkeypatch.setattr(service.deps.tokens, "_find_key", {"k1": jwk}.get)
    claims = {
        "sub": "0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e",
        "role": "authenticated",
        "aud": "authenticated",
        "exp": datetime.now(UTC) + timedelta(hours=1),
        "email": "grace@example.com",
    }
    token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "k1"})
    answer = service.client.post("/api/auth/session", json={"access_token": token})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (answer.status_code, data["user"]["email"]) == (200, "grace@example.com")
    assert "token" not in data
    assert service.client.get("/api/me").json()["data"]["id"] == claims["sub"]
    own = service.deps.tokens.issue(service.person().id).token
    assert service.client.post("/api/auth/session", json={"access_token": own}).status_code == 403


@pytest.mark.parametrize("how", ["logout", "everywhere", "key"])
def test_stream_of_events_ends_with_what_opened_it(settings: Settings, how: str) -> None:
    with listening(settings) as (url, server):
        account = httpx.post(f"{url}/api/auth/signup", json={"email": "ada@example.org", "password": PASSWORD}).json()
        headers = {"Authorization": f"Bearer {account['data']['token']}"}
        bearer = headers
        if how == "key":
            with server._deps.database.transaction(_service()) as tx:  # noqa: SLF001 - the test's own server
                tx.execute(
                    "INSERT INTO subscriptions (user_id, tier, status) VALUES (%s, 'pro', 'active')"
                    " ON CONFLICT (user_id) DO UPDATE SET tier = 'pro', status = 'active'",
                    (account["data"]["id"],),
                )
            made = httpx.post(f"{url}/api/me/keys", json={"name": "script"}, headers=headers).json()["data"]
            bearer = {"Authorization": f"Bearer {made['key']}"}
        ended = threading.Event()
        began = threading.Event()

        def follow() -> None:
            with httpx.stream("GET", f"{url}/api/events", headers=bearer, timeout=20) as stream:
                assert stream.status_code == 200
                began.set()
                for _ in stream.iter_lines():
                    pass
            ended.set()

        thread = threading.Thread(target=follow)
        thread.start()
        assert began.wait(10)
        if how == "key":
            assert httpx.delete(f"{url}/api/me/keys/{made['id']}", headers=headers).status_code == 200
        else:
            body = {"everywhere": how == "everywhere"}
            assert httpx.post(f"{url}/api/auth/logout", json=body, headers=headers).status_code == 200
        assert ended.wait(5)
        thread.join(5)


def _service() -> object:
    from db.connection import SERVICE

    return SERVICE


def test_websocket_that_never_says_who_it_is_is_closed(settings: Settings) -> None:
    with listening(settings, Limits(connect_within_s=0.5)) as (url, _):
        address = url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        with connect(address, compression=None) as socket:
            assert socket.recv(timeout=5)
            assert socket.recv(timeout=5) == "1"
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=5)


def test_guesses_are_counted_before_they_are_looked_at(service: Service) -> None:
    person = service.person()
    passwords = [f"wrong password {number}" for number in range(40)]
    passwords[38] = PASSWORD

    def guess(number: int) -> int:
        body = {"email": person.email, "password": passwords[number]}
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        return service.client.post("/api/auth/login", json=body, headers=headers).status_code

    for number in range(10):
        assert guess(number) == 401
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(guess, range(10, 40))) == {429}


def test_guesses_at_the_same_time_are_no_more_than_one_after_the_other(service: Service) -> None:
    person = service.person()

    def guess(number: int) -> int:
        body = {"email": person.email, "password": f"wrong password {number}"}
        return service.client.post("/api/auth/login", json=body).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(guess, range(40)))
    assert (statuses.count(401), statuses.count(429)) == (10, 30)


@pytest.mark.parametrize("call", ["change", "delete"])
def test_current_password_cannot_be_guessed_with_a_stolen_token(service: Service, call: str) -> None:
    person = service.person()

    def guess(password: str) -> int:
        if call == "delete":
            return person.request("DELETE", "/api/me", json={"password": password}).status_code
        return person.patch("/api/me", {"password": NEW_PASSWORD, "current_password": password}).status_code

    statuses = [guess(f"wrong password {number}") for number in range(12)]
    assert statuses == [403] * 10 + [429] * 2
    assert guess(PASSWORD) == 429


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_one_network_of_ipv6_counts_as_one_address(address: str, key: str) -> None:
    assert limit_key(address) == key


def test_forwarded_address_counts_only_from_a_named_proxy(settings: Settings) -> None:
    for proxies, expected in (((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.9")):
        with listening(replace(settings, forwarded_allow_ips=proxies)) as (url, _):
            body = {"email": f"{secrets.token_hex(4)}@example.org", "password": PASSWORD}
            headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
            token = httpx.post(f"{url}/api/auth/signup", json=body, headers=headers).json()["data"]["token"]
            listed = httpx.get(f"{url}/api/me/sessions", headers={"Authorization": f"Bearer {token}"}).json()
            assert listed["data"]["items"][0]["address"] == expected


def test_deletion_needs_the_password_or_a_fresh_login(service: Service) -> None:
    person = service.person()
    service.execute("UPDATE sessions SET created_at = now() - interval '11 minutes'")
    assert refused(person.delete("/api/me"), 403)["code"] == "fresh_login_required"
    token = service.deps.tokens.issue(person.id).token
    stale = service.client.delete("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert refused(stale, 403)["code"] == "fresh_login_required"
    login = {"email": person.email, "password": PASSWORD}
    fresh = service.client.post("/api/auth/login", json=login).json()["data"]["token"]
    assert service.client.delete("/api/me", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200


def test_metrics_are_for_operators_and_this_machine_alone(settings: Settings) -> None:
    with listening(settings) as (url, _):
        operator = {"Authorization": f"Bearer {settings.admin_token}"}
        for path in ("/metrics", "/metrics/", "//metrics", "/metrics%2f", "/%6detrics"):
            seen = httpx.get(url + path, headers={"X-Forwarded-For": "203.0.113.1"})
            assert "snuggles_" not in seen.text, path
            assert seen.status_code in {401, 404}, path
        assert httpx.get(f"{url}/metrics").status_code == 200
        assert httpx.get(f"{url}/metrics", headers={**operator, "X-Forwarded-For": "203.0.113.1"}).status_code == 200
        assert httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_body_without_a_content_type_is_refused(service: Service) -> None:
    body = json.dumps({"email": "ada@example.com", "password": PASSWORD}).encode()
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = service.client.post("/api/auth/login", content=body, headers=headers)
        assert refused(answer, 415)["code"] == "unsupported_media_type"


def test_names_lose_what_deceives_whoever_reads_them(service: Service) -> None:
    person = service.person(tier="pro")
    hostile = "Ada\u202eevil\u2066\u0007\n👩\u200d🚀"
    assert person.patch("/api/me", {"display_name": hostile}).json()["data"]["display_name"] == "Adaevil 👩\u200d🚀"
    assert person.post("/api/me/keys", {"name": hostile}).json()["data"]["name"] == "Adaevil 👩\u200d🚀"
    refused(person.post("/api/me/keys", {"name": "\u202e\u2066"}), 422, "name")
