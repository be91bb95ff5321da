"""`/api/me/totp`, `/api/me/passkeys` and `/api/auth/passkey`: second factors, and logins without a password."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, JSONBody

from api.auth import PUBLIC, people_only
from api.deps import Deps
from api.http import challenge, guessing
from api.http import sessions as begun
from api.http.client_address import address_of, limit_key
from api.http.request import ApiRequest
from api.limits import rate_limit
from api.schemas.accounts.account import SessionView
from api.schemas.accounts.second_factor import (
    CodeRequest,
    EnrolmentView,
    PasskeyLoginRequest,
    PasskeyRequest,
    PasskeyView,
    ProofRequest,
    RecoveryCodesView,
    TotpView,
    passkey_view,
)
from api.schemas.answers import Answer, Done, Items
from db.connection import SERVICE
from services.accounts import passkey as passkeys
from services.accounts import second_factor
from services.accounts import service as accounts
from services.accounts import session as sessions
from services.mail.message import NewSignInMethod

LOGIN = "login"


@get("/totp", guards=[people_only], sync_to_thread=True)
def show_totp(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[TotpView]:
    """Show whether logins need a one-time code."""
    user_id = request.user.user_id
    with deps.database.transaction(SERVICE) as tx:
        is_on = second_factor.is_required(tx, user_id=user_id)
        left = second_factor.recovery_codes_left(tx, user_id=user_id)
    return Answer(data=TotpView(status="active" if is_on else "off", recovery_codes_left=left))


@post("/totp", guards=[people_only], sync_to_thread=True, status_code=201)
def enrol_totp(
    request: ApiRequest, deps: NamedDependency[Deps], data: Annotated[ProofRequest | None, Body()] = None
) -> Answer[EnrolmentView]:
    """Make a secret for an authenticator app; needs the password, or a login of the last ten minutes."""
    _require_proof(deps, request, data.password if data else None)
    with deps.database.transaction(SERVICE) as tx:
        made = second_factor.enrol(tx, account=request.user.user, key=deps.settings.jwt_secret)
    return Answer(data=EnrolmentView(secret=made.secret, uri=made.uri))


@post("/totp/confirm", guards=[people_only], sync_to_thread=True, status_code=200)
def confirm_totp(
    data: JSONBody[CodeRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[RecoveryCodesView]:
    """Turn on one-time codes. The recovery codes are shown in this answer only."""
    user = request.user.user
    deps.limits.hit(rate_limit.CODE_GUESSES, str(user.id))
    with deps.database.transaction(SERVICE) as tx:
        codes = second_factor.confirm(
            tx, user_id=user.id, code=data.code, key=deps.settings.jwt_secret, now=deps.clock()
        )
        accounts.tell(tx, user, NewSignInMethod(method="totp"))
    deps.limits.clear(rate_limit.CODE_GUESSES, str(user.id))
    return Answer(data=RecoveryCodesView(recovery_codes=codes))


@delete("/totp", guards=[people_only], sync_to_thread=True, status_code=200)
def remove_totp(
    request: ApiRequest, deps: NamedDependency[Deps], data: Annotated[ProofRequest | None, Body()] = None
) -> Answer[Done]:
    """Turn off one-time codes; needs the password, or a login of the last ten minutes."""
    _require_proof(deps, request, data.password if data else None)
    with deps.database.transaction(SERVICE) as tx:
        second_factor.remove(tx, user_id=request.user.user_id)
    return Answer(data=Done(status="off"))


@post("/passkeys/options", guards=[people_only], sync_to_thread=True, status_code=200)
def passkey_creation(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[dict[str, Any]]:
    """Return what the browser needs to make a passkey."""
    user = request.user.user
    asked = challenge.issue(deps, f"register/{user.id}")
    with deps.database.transaction(SERVICE) as tx:
        known = passkeys.list_passkeys(tx, user_id=user.id)
    options = passkeys.creation_options(user, known, public_url=deps.settings.public_url, challenge=asked)
    return Answer(data=options)


@post("/passkeys", guards=[people_only], sync_to_thread=True, status_code=201)
def add_passkey(
    data: JSONBody[PasskeyRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[PasskeyView]:
    """Add a passkey; needs the password, or a login of the last ten minutes."""
    _require_proof(deps, request, data.password)
    user = request.user.user
    answered = challenge.take(deps, f"register/{user.id}", data.credential)
    with deps.database.transaction(SERVICE) as tx:
        added = passkeys.register(
            tx,
            user_id=user.id,
            name=data.name,
            credential=data.credential,
            challenge=answered,
            public_url=deps.settings.public_url,
        )
        accounts.tell(tx, user, NewSignInMethod(method="passkey", name=added.name))
    return Answer(data=passkey_view(added))


@get("/passkeys", guards=[people_only], sync_to_thread=True)
def list_passkeys(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Items[PasskeyView]]:
    """List the passkeys of the account."""
    with deps.database.transaction(SERVICE) as tx:
        found = passkeys.list_passkeys(tx, user_id=request.user.user_id)
    return Answer(data=Items(items=[passkey_view(passkey) for passkey in found], next_cursor=None))


@delete("/passkeys/{passkey_id:uuid}", guards=[people_only], sync_to_thread=True, status_code=200)
def delete_passkey(passkey_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Delete a passkey, at once."""
    with deps.database.transaction(SERVICE) as tx:
        passkeys.delete(tx, user_id=request.user.user_id, passkey_id=passkey_id)
    return Answer(data=Done(status="deleted"))


@post("/options", opt={PUBLIC: True}, sync_to_thread=True, status_code=200)
def passkey_request(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[dict[str, Any]]:
    """Return what the browser needs to log in with a passkey; it reveals nothing about accounts."""
    deps.limits.hit(rate_limit.LINKS, limit_key(address_of(request)))
    asked = challenge.issue(deps, LOGIN)
    return Answer(data=passkeys.request_options(public_url=deps.settings.public_url, challenge=asked))


@post("/login", opt={PUBLIC: True}, sync_to_thread=True, status_code=200)
def passkey_login(
    data: JSONBody[PasskeyLoginRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[SessionView]]:
    """Log in with a passkey. It is a second factor itself, so no code is needed."""
    deps.limits.hit(rate_limit.GUESSES_OF_ADDRESS, limit_key(address_of(request)))
    answered = challenge.take(deps, LOGIN, data.credential)
    with deps.database.transaction(SERVICE) as tx:
        user_id = passkeys.authenticate(
            tx, credential=data.credential, challenge=answered, public_url=deps.settings.public_url
        )
        account = accounts.get(tx, user_id=user_id)
    return begun.log_in(deps, request, account, method="passkey", cookie=data.cookie)


def _require_proof(deps: Deps, request: ApiRequest, password: str | None) -> None:
    if password is not None:
        guessing.check_current_password(deps, request, account=request.user.user, password=password)
    else:
        sessions.require_fresh_login(request.user.authenticated_at, now=deps.clock())


second_factor_router = Router(
    "/api/me",
    route_handlers=[
        show_totp,
        enrol_totp,
        confirm_totp,
        remove_totp,
        passkey_creation,
        add_passkey,
        list_passkeys,
        delete_passkey,
    ],
    tags=["Accounts"],
)
passkey_router = Router("/api/auth/passkey", route_handlers=[passkey_request, passkey_login], tags=["Accounts"])
