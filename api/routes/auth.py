"""`/api/auth`: signing up, logging in and out, links by mail."""

from typing import Annotated, Any

from litestar import Response, Router, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.params import Body, JSONBody

from api.auth import PUBLIC, ended_cookies, people_only, session_cookies
from api.deps import Deps
from api.http.idempotency import HEADER, REPLAYED, fingerprint
from api.http.request import ApiRequest
from api.limits import rate_limit
from api.limits.metering import UNMETERED
from api.schemas.accounts import (
    AccountView,
    ForgotRequest,
    LoginRequest,
    LogoutRequest,
    ResetRequest,
    SessionView,
    SignupRequest,
    VerifyRequest,
    account_view,
    session_view,
)
from api.schemas.answers import Answer, Done
from db.connection import SERVICE, Transaction
from services import idempotency
from services.accounts import mail
from services.accounts import service as accounts
from services.accounts.service import Account, EmailTakenError
from services.errors import UnauthenticatedError

ANYBODY = {PUBLIC: True}


@post("/signup", opt=ANYBODY, sync_to_thread=True, status_code=201)
def signup(
    data: JSONBody[SignupRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[SessionView]]:
    """Make an account and log in. A link to confirm the address is mailed; nothing waits for it."""
    deps.limits.hit(rate_limit.SIGNUP, _address(request))
    try:
        with deps.database.transaction(SERVICE) as tx:
            new = accounts.signup(
                tx, email=data.email, password=data.password, display_name=data.display_name, now=deps.clock()
            )
            _remember_signup(tx, deps, request, new.account)
    except EmailTakenError:
        again = _signed_up_before(deps, request, data.email)
        if again is None:
            raise
        return _session(deps, again, cookie=data.cookie, status=201, headers=REPLAYED)
    message = mail.verification(deps.settings.public_url, to=new.account.email, token=new.link_token)
    return _session(
        deps, new.account, cookie=data.cookie, status=201, background=BackgroundTask(mail.deliver, deps.mailer, message)
    )


@post("/login", opt=ANYBODY, sync_to_thread=True, status_code=200)
def login(
    data: JSONBody[LoginRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[SessionView]]:
    """Log in with address and password."""
    who = (data.email.strip().lower(), _address(request))
    deps.limits.hit(rate_limit.LOGIN, _address(request))
    deps.limits.check(rate_limit.WRONG_PASSWORD, *who)
    try:
        with deps.database.transaction(SERVICE) as tx:
            account = accounts.login(tx, email=data.email, password=data.password)
    except UnauthenticatedError:
        deps.limits.hit(rate_limit.WRONG_PASSWORD, *who)
        raise
    return _session(deps, account, cookie=data.cookie, status=200)


@post("/logout", guards=[people_only], sync_to_thread=True, status_code=200, opt={UNMETERED: True})
def logout(
    request: ApiRequest, deps: NamedDependency[Deps], data: Annotated[LogoutRequest | None, Body()] = None
) -> Response[Answer[Done]]:
    """End this session, or all of them."""
    claims = request.user.claims
    if claims is not None:
        with deps.database.transaction(SERVICE) as tx:
            accounts.logout(tx, claims=claims, everywhere=bool(data and data.everywhere), now=deps.clock())
    return Response(Answer(data=Done(status="logged_out")), cookies=ended_cookies())


@post("/verify", opt=ANYBODY, sync_to_thread=True, status_code=200)
def verify(data: JSONBody[VerifyRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Confirm an address with the token of the link that was mailed."""
    deps.limits.hit(rate_limit.LINKS, _address(request))
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=account_view(accounts.verify(tx, token=data.token)))


@post("/forgot", opt=ANYBODY, sync_to_thread=True, status_code=202)
def forgot(data: JSONBody[ForgotRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Response[Answer[Done]]:
    """Mail a link to choose a new password. The answer is the same whether the address has an account or not."""
    deps.limits.hit(rate_limit.LINKS, _address(request))
    email = data.email.strip().lower()
    # Silent when there were too many: an answer that differs would say that there is an account.
    found = None
    if deps.limits.allows(rate_limit.MAIL, email):
        with deps.database.transaction(SERVICE) as tx:
            found = accounts.forgot(tx, email=email, now=deps.clock())
    task = None
    if found is not None:
        message = mail.password_reset(deps.settings.public_url, to=found.email, token=found.link_token)
        task = BackgroundTask(mail.deliver, deps.mailer, message)
    return Response(Answer(data=Done(status="mailed_if_known")), status_code=202, background=task)


@post("/reset", opt=ANYBODY, sync_to_thread=True, status_code=200)
def reset(data: JSONBody[ResetRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Choose a new password with the token of the link that was mailed. Every session ends."""
    deps.limits.hit(rate_limit.LINKS, _address(request))
    with deps.database.transaction(SERVICE) as tx:
        account = accounts.reset(tx, token=data.token, password=data.password, now=deps.clock())
    return Answer(data=account_view(account))


def _address(request: ApiRequest) -> str:
    return request.client.host if request.client else "unknown"


def _session(  # noqa: PLR0913 - one a parameter of the request
    deps: Deps,
    account: Account,
    *,
    cookie: bool,
    status: int,
    background: BackgroundTask | None = None,
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    session = deps.tokens.issue(account.id, email=account.email)
    return Response(
        Answer(data=session_view(account, session)),
        status_code=status,
        cookies=session_cookies(deps, session) if cookie else None,
        background=background,
        headers=headers,
    )


def _remember_signup(tx: Transaction, deps: Deps, request: ApiRequest, account: Account) -> None:
    """Keep whose sign-up this was; the answer itself holds a token, so a repeat is answered with a fresh one."""
    if (key := request.headers.get(HEADER)) is None:
        return
    request_hash = fingerprint(deps, request)
    idempotency.begin(tx, user_id=account.id, key=key, request_hash=request_hash)
    idempotency.remember(
        tx, user_id=account.id, key=key, request_hash=request_hash, status=201, response={"id": str(account.id)}
    )


def _signed_up_before(deps: Deps, request: ApiRequest, email: str) -> Account | None:
    """Return the account that this very request made before; None when another one did."""
    if (key := request.headers.get(HEADER)) is None:
        return None
    with deps.database.transaction(SERVICE) as tx:
        user_id = accounts.find_id(tx, email=email)
        if user_id is None:
            return None
        first = idempotency.begin(tx, user_id=user_id, key=key, request_hash=fingerprint(deps, request))
        return accounts.get(tx, user_id=user_id) if first else None


auth_router = Router("/api/auth", route_handlers=[signup, login, logout, verify, forgot, reset], tags=["Accounts"])
