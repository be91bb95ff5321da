"""`/api/me`: the asker's own account, his API keys, and all his data."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, JSONBody

from api.auth import ended_cookies, people_only
from api.deps import Deps
from api.http.idempotency import HEADER, answer_once, fingerprint
from api.http.request import ApiRequest
from api.limits import rate_limit
from api.schemas.accounts import (
    AccountView,
    ApiKeyRequest,
    ApiKeyView,
    DeleteAccountRequest,
    NewApiKeyView,
    ProfileRequest,
    account_fields,
    account_view,
    api_key_view,
    new_api_key_view,
)
from api.schemas.answers import Answer, Done, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit
from db.connection import SERVICE, Transaction
from services.accounts import export, mail
from services.accounts import service as accounts
from services.accounts.token import derived_api_key, new_api_key
from services.errors import InvalidFieldError
from services.lifecycle import deletion
from services.paging import decode_time_cursor

EXPORT_HEADERS = {"Content-Disposition": 'attachment; filename="big-snuggles-export.json"'}


@get("", sync_to_thread=True)
def get_me(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Show the account and what its tier includes."""
    with deps.database.transaction(request.user.identity) as tx:
        return Answer(data=account_view(accounts.get(tx, user_id=request.user.user_id)))


@patch("", guards=[people_only], sync_to_thread=True)
def change_me(data: JSONBody[ProfileRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Change the name, or the password; a new password ends every session."""
    user_id = request.user.user_id
    if data.password is not None:
        if data.current_password is None:
            raise InvalidFieldError("current_password", "A new password needs the current one as current_password.")
        deps.limits.check(rate_limit.WRONG_PASSWORD, str(user_id))
    with deps.database.transaction(SERVICE) as tx:
        if data.password is not None and data.current_password is not None:
            deps.limits.hit(rate_limit.WRONG_PASSWORD, str(user_id))
            accounts.change_password(
                tx, user_id=user_id, current=data.current_password, password=data.password, now=deps.clock()
            )
        if data.display_name is not None:
            accounts.rename(tx, user_id=user_id, display_name=data.display_name)
        return Answer(data=account_view(accounts.get(tx, user_id=user_id)))


@delete("", guards=[people_only], sync_to_thread=True, status_code=200)
def delete_me(
    request: ApiRequest,
    deps: NamedDependency[Deps],
    data: Annotated[DeleteAccountRequest | None, Body()] = None,
) -> Response[Answer[Done]]:
    """Delete the account with everything in it: recordings, clips, links, jobs. There is no way back."""
    user_id = request.user.user_id
    with deps.database.transaction(SERVICE) as tx:
        if data is not None and data.password is not None:
            accounts.check_current_password(tx, user_id=user_id, password=data.password)
        deletion.delete_account(tx, user_id=user_id, now=deps.clock())
    return Response(Answer(data=Done(status="deleted")), cookies=ended_cookies())


@get("/export", guards=[people_only], sync_to_thread=True)
def export_me(request: ApiRequest, deps: NamedDependency[Deps]) -> Response[Answer[dict[str, Any]]]:
    """Hand out everything that the database knows of the asker, as one document."""
    with deps.database.transaction(request.user.identity) as tx:
        sections = export.export(tx, user_id=request.user.user_id)
        account = account_fields(accounts.get(tx, user_id=request.user.user_id))
    exported: dict[str, Any] = {"exported_at": deps.clock(), "account": account, **sections}
    return Response(Answer(data=exported), headers=EXPORT_HEADERS)


@post("/verification", guards=[people_only], sync_to_thread=True, status_code=202)
def send_verification(request: ApiRequest, deps: NamedDependency[Deps]) -> Response[Answer[Done]]:
    """Mail the link to confirm the address once more."""
    account = request.user.user
    deps.limits.hit(rate_limit.MAIL, account.email)
    with deps.database.transaction(SERVICE) as tx:
        token = accounts.renew_verification(tx, account=account, now=deps.clock())
    message = mail.verification(deps.settings.public_url, to=account.email, token=token)
    return Response(
        Answer(data=Done(status="mailed")),
        status_code=202,
        background=BackgroundTask(mail.deliver, deps.mailer, message),
    )


@post("/keys", guards=[people_only], sync_to_thread=True, status_code=201)
def create_key(
    data: JSONBody[ApiKeyRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[NewApiKeyView]]:
    """Make an API key. Its secret is shown in this answer only."""
    secret = _key_secret(deps, request)

    def work(tx: Transaction) -> NewApiKeyView:
        key = accounts.create_api_key(tx, account=request.user.user, name=data.name, secret=secret)
        return new_api_key_view(key, secret)

    return answer_once(
        deps,
        request,
        work,
        stored=lambda view: msgspec.structs.replace(view, key=""),
        replayed=lambda view: {**view, "key": secret},
    )


@get("/keys", guards=[people_only], sync_to_thread=True)
def list_keys(
    request: ApiRequest, deps: NamedDependency[Deps], limit: Limit = DEFAULT_LIMIT, cursor: CursorParameter = None
) -> Answer[Items[ApiKeyView]]:
    """List the API keys that work, newest first."""
    position = decode_time_cursor(cursor)
    with deps.database.transaction(request.user.identity) as tx:
        page = accounts.list_api_keys(tx, user_id=request.user.user_id, limit=limit, cursor=position)
    return Answer(data=Items(items=[api_key_view(key) for key in page.items], next_cursor=page.next_cursor))


@delete("/keys/{key_id:uuid}", guards=[people_only], sync_to_thread=True, status_code=200)
def delete_key(key_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ApiKeyView]:
    """Stop an API key from working, at once."""
    with deps.database.transaction(request.user.identity) as tx:
        key = accounts.revoke_api_key(tx, user_id=request.user.user_id, key_id=key_id)
    return Answer(data=api_key_view(key))


def _key_secret(deps: Deps, request: ApiRequest) -> str:
    """Return a new key; for a request that may be repeated, one that its repeat gets again."""
    if (key := request.headers.get(HEADER)) is None:
        return new_api_key()
    return derived_api_key(
        deps.settings.jwt_secret,
        user_id=request.user.user_id,
        request_hash=fingerprint(deps, request),
        idempotency_key=key,
    )


account_router = Router(
    "/api/me",
    route_handlers=[get_me, change_me, delete_me, export_me, send_verification, create_key, list_keys, delete_key],
    tags=["Accounts"],
)
