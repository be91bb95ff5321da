import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm
from msgspec.structs import replace
from structlog.testing import capture_logs
from support.api.server import PASSWORD, Service

from services.accounts.token import Tokens


def login(service: Service, email: str, password: str = PASSWORD) -> int:
    return service.client.post("/api/auth/login", json={"email": email, "password": password}).status_code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_signup_answers_with_an_account_and_a_token_that_works(service: Service) -> None:
    answer = service.client.post(
        "/api/auth/signup", json={"email": " Ada@Example.com ", "password": PASSWORD, "display_name": "Ada"}
    )
    data = answer.json()["data"]
    assert answer.status_code == 201
    user = data["user"]
    assert (user["email"], user["status"], user["tier"]) == ("ada@example.com", "unverified", "free")
    assert (data["token_type"], user["display_name"]) == ("bearer", "Ada")
    assert {"id", "status", "created_at", "expires_at"} <= data.keys()
    assert data["id"] == user["id"]
    me = service.client.get("/api/me", headers=bearer(data["token"]))
    assert me.json()["data"]["id"] == data["id"]
    assert "password" not in answer.text


def test_login_answers_200_with_another_token(service: Service) -> None:
    person = service.person()
    answer = service.client.post("/api/auth/login", json={"email": person.email.upper(), "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json()["data"]["id"] == str(person.id)
    assert answer.json()["data"]["token"] != person.token


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "ada@",
        "@example.com",
        "a da@example.com",
        "ada@example",
        "<a@b.cd>",
        "a@b..c",
        "a\u202eb@c.de",
        "a\u0007@b.cd",
        "a\u200b@b.cd",
    ],
)
def test_signup_with_what_is_no_address_is_refused(service: Service, email: str) -> None:
    answer = service.client.post("/api/auth/signup", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "email"


def test_signup_with_a_short_password_is_refused(service: Service) -> None:
    answer = service.client.post("/api/auth/signup", json={"email": "ada@example.com", "password": "short"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "password"


def test_signup_of_a_known_address_is_refused_in_plain_words(service: Service) -> None:
    person = service.person()
    answer = service.client.post("/api/auth/signup", json={"email": person.email, "password": "another password"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "email_taken"
    assert login(service, person.email) == 200


def test_signup_repeated_with_its_key_answers_with_the_same_account(service: Service) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    headers = {"Idempotency-Key": "first"}
    first = service.client.post("/api/auth/signup", json=body, headers=headers)
    second = service.client.post("/api/auth/signup", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    other = service.client.post("/api/auth/signup", json={**body, "password": "guessed password"}, headers=headers)
    assert other.status_code == 409


def test_wrong_password_and_unknown_address_are_answered_alike(service: Service) -> None:
    person = service.person()
    wrong = service.client.post("/api/auth/login", json={"email": person.email, "password": "wrong password"})
    unknown = service.client.post("/api/auth/login", json={"email": "nobody@example.com", "password": "wrong password"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_guessing_is_stopped_and_says_when_to_come_back(service: Service) -> None:
    person, other = service.person(), service.person()
    statuses = [login(service, person.email, f"wrong password {number}") for number in range(12)]
    assert statuses[:10] == [401] * 10
    assert statuses[10:] == [429] * 2
    answer = service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.json()["error"]["retryable"]
    assert int(answer.headers["Retry-After"]) > 0
    assert login(service, other.email) == 200


def test_logging_in_often_locks_nobody_out(service: Service) -> None:
    person = service.person()
    assert {login(service, person.email) for _ in range(15)} == {200}


def test_logout_ends_this_session_alone(service: Service) -> None:
    person = service.person()
    other = service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD}).json()["data"]
    assert person.post("/api/auth/logout").status_code == 200
    assert person.get("/api/me").status_code == 401
    assert service.client.get("/api/me", headers=bearer(other["token"])).status_code == 200


def test_logout_everywhere_ends_every_session_but_those_that_follow(service: Service) -> None:
    person = service.person()
    other = service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD}).json()["data"]
    assert person.post("/api/auth/logout", {"everywhere": True}).status_code == 200
    assert service.client.get("/api/me", headers=bearer(other["token"])).status_code == 401
    later = service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD}).json()["data"]
    assert service.client.get("/api/me", headers=bearer(later["token"])).status_code == 200


def mailed_link(service: Service, path: str, body: dict[str, str], *, headers: dict[str, str] | None = None) -> str:
    with capture_logs() as logs:
        assert service.client.post(path, json=body, headers=headers or {}).status_code < 300
    (link,) = [entry["link"] for entry in logs if entry["event"] == "mail"]
    return str(link)


def test_signup_logs_a_link_that_confirms_the_address_once(service: Service) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    link = mailed_link(service, "/api/auth/signup", body)
    token = link.rsplit("/", 1)[1]
    answer = service.client.post("/api/auth/verify", json={"token": token})
    assert answer.json()["data"]["status"] == "active"
    assert service.client.post("/api/auth/verify", json={"token": token}).status_code == 422


def test_link_in_the_mail_leads_to_a_page_whose_button_confirms(service: Service) -> None:
    link = mailed_link(service, "/api/auth/signup", {"email": "ada@example.com", "password": PASSWORD})
    page = service.client.get(link)
    assert page.status_code == 200
    action = re.search(r'action="([^"]+)"', page.text)
    assert action
    confirmed = service.client.post(action[1])
    assert "ada@example.com is confirmed" in confirmed.text
    assert service.client.post(action[1]).status_code == 422


def test_forgotten_password_is_reset_by_the_link_and_ends_every_session(service: Service) -> None:
    person = service.person()
    link = mailed_link(service, "/api/auth/forgot", {"email": person.email})
    token = link.rsplit("/", 1)[1]
    answer = service.client.post("/api/auth/reset", json={"token": token, "password": "a new password"})
    assert answer.status_code == 200
    assert answer.json()["data"]["status"] == "active"
    assert person.get("/api/me").status_code == 401
    assert login(service, person.email) == 401
    assert login(service, person.email, "a new password") == 200
    again = service.client.post("/api/auth/reset", json={"token": token, "password": "another password"})
    assert again.status_code == 422


def test_reset_page_sets_the_password(service: Service) -> None:
    person = service.person()
    link = mailed_link(service, "/api/auth/forgot", {"email": person.email})
    assert service.client.get(link).status_code == 200
    short = service.client.post(link, data={"password": "short"})
    assert short.status_code == 422
    assert "8 to 200 characters" in short.text
    assert service.client.post(link, data={"password": "a new password"}).status_code == 200
    assert login(service, person.email, "a new password") == 200


def test_newer_reset_link_puts_the_older_out_of_use(service: Service) -> None:
    person = service.person()
    older = mailed_link(service, "/api/auth/forgot", {"email": person.email}).rsplit("/", 1)[1]
    mailed_link(service, "/api/auth/forgot", {"email": person.email})
    answer = service.client.post("/api/auth/reset", json={"token": older, "password": "a new password"})
    assert answer.status_code == 422


def test_forgot_answers_alike_for_known_and_unknown_addresses(service: Service) -> None:
    known = service.client.post("/api/auth/forgot", json={"email": service.person().email})
    unknown = service.client.post("/api/auth/forgot", json={"email": "nobody@example.com"})
    assert known.status_code == unknown.status_code == 202
    assert known.json() == unknown.json()


def test_mailbox_is_not_flooded(service: Service) -> None:
    person = service.person()
    with capture_logs() as logs:
        answers = [service.client.post("/api/auth/forgot", json={"email": person.email}) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {202}
    assert len([entry for entry in logs if entry["event"] == "mail"]) == 5


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer nonsense", "Bearer snk_nonsense", "token", "Bearer a b"]
)
def test_header_that_proves_nothing_is_401_in_the_envelope(service: Service, header: str) -> None:
    answer = service.client.get("/api/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_forged_and_expired_tokens_are_refused(service: Service) -> None:
    person = service.person()
    secret = service.deps.settings.jwt_secret
    hour = timedelta(hours=1)
    claims = {"sub": str(person.id), "role": "authenticated", "aud": "authenticated", "exp": datetime.now(UTC) + hour}
    good = jwt.encode(claims, secret, algorithm="HS256")
    bad = [
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, "another secret that is long enough, too", algorithm="HS256"),
        jwt.encode({**claims, "exp": datetime.now(UTC) - hour}, secret, algorithm="HS256"),
        jwt.encode({**claims, "aud": "other"}, secret, algorithm="HS256"),
        jwt.encode({**claims, "role": "service_role"}, secret, algorithm="HS256"),
        jwt.encode({**claims, "sub": str(uuid4())}, secret, algorithm="HS256"),
    ]
    assert service.client.get("/api/me", headers=bearer(good)).status_code == 200
    assert [service.client.get("/api/me", headers=bearer(token)).status_code for token in bad] == [401] * len(bad)


def test_user_of_another_issuer_gets_an_account_at_first_sight(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = PyJWK({**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "ES256", "use": "sig"})
    tokens = Tokens(service.deps.settings.jwt_secret, find_key={"k1": jwk}.get)
    monkeypatch.setattr(service.app.state, "deps", replace(service.deps, tokens=tokens))
    taken = service.person()
    for email, expected in (("grace@example.com", "grace@example.com"), (taken.email, None), (None, None)):
        user_id = uuid4()
        claims = {
            "sub": str(user_id),
            "role": "authenticated",
            "aud": "authenticated",
            "exp": datetime.now(UTC) + timedelta(hours=1),
            "email": email,
        }
        token = jwt.encode({**claims}, key, algorithm="ES256", headers={"kid": "k1"})
        answer = service.client.get("/api/me", headers=bearer(token))
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["id"] == str(user_id)
        assert answer.json()["data"]["email"] == (expected or f"{user_id}@users.invalid")
    assert taken.get("/api/me").json()["data"]["id"] == str(taken.id)


def test_cookie_session_needs_its_csrf_token_to_change_anything(service: Service) -> None:
    person = service.person()
    answer = service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD, "cookie": True})
    headers = [value for name, value in answer.headers.multi_items() if name == "set-cookie"]
    session = next(value for value in headers if value.startswith("snuggles_session="))
    assert "HttpOnly" in session
    assert "token" not in answer.json()["data"]
    assert answer.json()["data"]["token_type"] == "cookie"
    assert "samesite=lax" in session.lower()
    assert service.client.get("/api/me").json()["data"]["id"] == str(person.id)
    assert service.client.patch("/api/me", json={"display_name": "Ada"}).status_code == 403
    csrf = service.client.cookies["snuggles_csrf"]
    for token, status in (("x" * len(csrf), 403), (csrf, 200)):
        changed = service.client.patch("/api/me", json={"display_name": "Ada"}, headers={"X-CSRF-Token": token})
        assert changed.status_code == status
    assert service.client.post("/api/auth/logout", headers={"X-CSRF-Token": csrf}).status_code == 200
    assert service.client.get("/api/me").status_code == 401


def test_login_without_asking_sets_no_cookie(service: Service) -> None:
    person = service.person()
    answer = service.client.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    assert "set-cookie" not in answer.headers


def test_operators_token_belongs_to_no_user(service: Service) -> None:
    answer = service.client.get("/api/me", headers=bearer(str(service.deps.settings.admin_token)))
    assert answer.status_code == 403
