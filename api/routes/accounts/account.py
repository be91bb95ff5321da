"""`/api/me`: a user's own account, sessions, API keys, and all their data."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, JSONBody

from api.auth import ended_cookies, people_only
from api.deps import Deps
from api.http import guessing, mailing
from api.http.idempotency import answer_once
from api.http.request import ApiRequest
from api.limits import rate_limit
from api.schemas.accounts.account import (
    AccountView,
    ApiKeyRequest,
    ApiKeyView,
    DeleteAccountRequest,
    ExportJobView,
    ExportView,
    ListedSessionView,
    NewApiKeyView,
    ProfileRequest,
    account_view,
    api_key_view,
    export_view,
    listed_session_view,
    new_api_key_view,
)
from api.schemas.answers import Answer, Done, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit, time_of
from api.schemas.jobs import job_view
from db.connection import SERVICE, Transaction, as_service
from services.accounts import api_key as api_keys
from services.accounts import export
from services.accounts import password as passwords
from services.accounts import service as accounts
from services.accounts import session as sessions
from services.accounts.email_address import clean_email
from services.accounts.token import new_api_key
from services.errors import ConflictError, ForbiddenError, InvalidFieldError
from services.lifecycle import deletion
from services.mail.message import ConfirmEmail, Verification
from services.paging import decode_time_cursor

EXPORT_NAME = "big-snuggles-export.zip"
EXPORT_URL_S = 3600  # long enough to begin and resume on a slow line


@get("", sync_to_thread=True)
def get_me(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Show the account and what its tier includes."""
    with deps.database.transaction(request.user.identity) as tx:
        return Answer(data=account_view(accounts.get(tx, user_id=request.user.user_id)))


@patch("", guards=[people_only], sync_to_thread=True)
def change_me(data: JSONBody[ProfileRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Change the name, the address, the password, the language of mails, or which mails are sent.

    A new address or password needs the current password. A new address takes effect when the link mailed to it is
    opened. A new password ends every session and API key.
    """
    user = request.user.user
    new_email = clean_email(data.email) if data.email is not None else None
    if new_email == user.email:
        new_email = None
    if data.password is not None:
        passwords.check_password(data.password)
    if new_email is not None or data.password is not None:
        if data.current_password is None:
            raise InvalidFieldError("current_password", "This needs the current password as current_password.")
        guessing.check_current_password(deps, request, account=user, password=data.current_password)
    password_hash = None if data.password is None else passwords.hash_password(data.password)
    with deps.database.transaction(SERVICE) as tx:
        if password_hash is not None:
            accounts.change_password(
                tx,
                user_id=user.id,
                password_hash=password_hash,
                now=deps.clock(),
                keep_api_keys=data.keep_api_keys,
            )
        account = accounts.change_profile(
            tx,
            user_id=user.id,
            display_name=data.display_name,
            language=data.language,
            mail_clips_ready=data.mail_clips_ready,
        )
    # The answer is the same for an address that has an account, so that it reveals nothing.
    if new_email is not None and mailing.may_mail(deps, new_email):
        mailing.send_link(deps, ConfirmEmail(), recipient=new_email, user_id=user.id, language=account.language)
    return Answer(data=account_view(account, pending_email=new_email))


@delete("", guards=[people_only], sync_to_thread=True, status_code=200)
def delete_me(
    request: ApiRequest,
    deps: NamedDependency[Deps],
    data: Annotated[DeleteAccountRequest | None, Body()] = None,
) -> Response[Answer[Done]]:
    """Delete the account with everything in it: recordings, clips, links, jobs. This cannot be undone.

    Needs the password, or a login of the last ten minutes.
    """
    if data is not None and data.password is not None:
        guessing.check_current_password(deps, request, account=request.user.user, password=data.password)
    else:
        sessions.require_fresh_login(request.user.authenticated_at, now=deps.clock())
    with deps.database.transaction(SERVICE) as tx:
        deletion.delete_account(tx, user_id=request.user.user_id, now=deps.clock())
    return Response(Answer(data=Done(status="deleted")), cookies=ended_cookies())


@get("/sessions", guards=[people_only], sync_to_thread=True)
def list_sessions(
    request: ApiRequest, deps: NamedDependency[Deps], limit: Limit = DEFAULT_LIMIT, cursor: CursorParameter = None
) -> Answer[Items[ListedSessionView]]:
    """List the sessions of the account, newest first."""
    position = decode_time_cursor(cursor)
    current = request.user.session.id if request.user.session else None
    with deps.database.transaction(request.user.identity) as tx:
        page = sessions.list_sessions(tx, user_id=request.user.user_id, limit=limit, cursor=position)
    items = [listed_session_view(session, current_id=current) for session in page.items]
    return Answer(data=Items(items=items, next_cursor=page.next_cursor))


@delete("/sessions", guards=[people_only], sync_to_thread=True, status_code=200)
def end_other_sessions(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """End every session of the account but this one."""
    claims = request.user.claims
    if claims is None:
        raise ForbiddenError("This needs a user's session.")
    with deps.database.transaction(SERVICE) as tx:
        sessions.end_others(tx, claims, now=deps.clock())
    return Answer(data=Done(status="ended"))


@delete("/sessions/{session_id:uuid}", guards=[people_only], sync_to_thread=True, status_code=200)
def end_session(session_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """End one session of the account, at once."""
    with deps.database.transaction(SERVICE) as tx:
        sessions.end_one(tx, user_id=request.user.user_id, session_id=session_id)
    return Answer(data=Done(status="ended"))


@post("/export", guards=[people_only], sync_to_thread=True, status_code=202)
def begin_export(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ExportJobView]:
    """Make an archive of all data and clips that the service has of the user. A mail says when it is ready."""
    with deps.database.transaction(SERVICE) as tx:
        made, job = export.request(tx, user_id=request.user.user_id, trace_id=request.trace_id)
    return Answer(data=ExportJobView(export=export_view(made, url=None), job=job_view(job)))


@get("/export", guards=[people_only], sync_to_thread=True)
def show_export(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ExportView]:
    """Show the latest archive, with an address to download it from once it is ready."""
    with deps.database.transaction(SERVICE) as tx:
        found = export.latest(tx, user_id=request.user.user_id)
    url = None
    if found.status == "ready" and found.key is not None:
        url = deps.buckets.clips.presign_get(
            found.key, expires_s=EXPORT_URL_S, filename=EXPORT_NAME, content_type="application/zip"
        )
    return Answer(data=export_view(found, url=url))


@post("/verification", guards=[people_only], sync_to_thread=True, status_code=202)
def send_verification(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Mail the link to confirm the address once more."""
    account = request.user.user
    if account.email_verified_at is not None:
        raise ConflictError("This address is confirmed already.", reason="already_confirmed")
    deps.limits.hit(rate_limit.MAIL, account.email)
    mailing.send_link(deps, Verification(), recipient=account.email, user_id=account.id, language=account.language)
    return Answer(data=Done(status="mailed"))


@post("/keys", guards=[people_only], sync_to_thread=True, status_code=201)
def create_key(
    data: JSONBody[ApiKeyRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[NewApiKeyView]]:
    """Make an API key. Its secret is shown in this answer only, and not in the answer to a repeated request."""
    user = request.user.user

    def work(tx: Transaction) -> NewApiKeyView:
        secret = new_api_key()
        with as_service(tx):
            key = api_keys.create(
                tx,
                account=user,
                name=data.name,
                scopes=data.scopes,
                expires_at=time_of("expires_at", data.expires_at),
                secret=secret,
                now=deps.clock(),
            )
        return new_api_key_view(key, secret, now=deps.clock())

    def replay(tx: Transaction, first: dict[str, Any]) -> NewApiKeyView:
        key = api_keys.get(tx, user_id=user.id, key_id=UUID(first["id"]))
        return new_api_key_view(key, None, now=deps.clock())

    return answer_once(deps, request, work, replayed=replay)


@get("/keys", guards=[people_only], sync_to_thread=True)
def list_keys(
    request: ApiRequest, deps: NamedDependency[Deps], limit: Limit = DEFAULT_LIMIT, cursor: CursorParameter = None
) -> Answer[Items[ApiKeyView]]:
    """List the API keys that were not revoked, newest first."""
    position = decode_time_cursor(cursor)
    with deps.database.transaction(request.user.identity) as tx:
        page = api_keys.list_keys(tx, user_id=request.user.user_id, limit=limit, cursor=position)
    items = [api_key_view(key, now=deps.clock()) for key in page.items]
    return Answer(data=Items(items=items, next_cursor=page.next_cursor))


@delete("/keys/{key_id:uuid}", guards=[people_only], sync_to_thread=True, status_code=200)
def delete_key(key_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ApiKeyView]:
    """Revoke an API key, at once."""
    with deps.database.transaction(SERVICE) as tx:
        key = api_keys.revoke(tx, user_id=request.user.user_id, key_id=key_id)
    return Answer(data=api_key_view(key, now=deps.clock()))


account_router = Router(
    "/api/me",
    route_handlers=[
        get_me,
        change_me,
        delete_me,
        list_sessions,
        end_other_sessions,
        end_session,
        begin_export,
        show_export,
        send_verification,
        create_key,
        list_keys,
        delete_key,
    ],
    tags=["Accounts"],
)
