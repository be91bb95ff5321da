"""`/api/auth`: signing up, logging in and out, links by mail."""

from typing import Annotated, Any

from litestar import Response, Router, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import Body, JSONBody

from api.auth import PUBLIC, ended_cookies, people_only
from api.deps import Deps
from api.http import guessing, mailing
from api.http import sessions as begun
from api.http.client_address import address_of, limit_key
from api.http.idempotency import HEADER, REPLAYED, fingerprint
from api.http.request import ApiRequest, language_of
from api.limits import rate_limit
from api.limits.metering import UNMETERED
from api.schemas.accounts.account import (
    AccountView,
    ExchangeRequest,
    ForgotRequest,
    LoginRequest,
    LogoutRequest,
    ResetRequest,
    SessionView,
    SignupRequest,
    VerifyRequest,
    account_view,
)
from api.schemas.answers import Answer, Done
from db.connection import SERVICE, Transaction
from services import idempotency
from services.accounts import password as passwords
from services.accounts import service as accounts
from services.accounts import session as sessions
from services.accounts.email_address import clean_email, is_email
from services.accounts.service import Account, EmailTakenError
from services.errors import ForbiddenError, UnauthenticatedError
from services.mail.message import PasswordReset, Verification

ANYBODY = {PUBLIC: True}


@post(
    "/signup",
    opt=ANYBODY,
    sync_to_thread=True,
    status_code=201,
    responses={
        202: ResponseSpec(
            Answer[Done], generate_examples=False, description="A mail was sent: the account begins with its link"
        )
    },
)
def signup(
    data: JSONBody[SignupRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[SessionView]]:
    """Make an account.

    Where mail is sent (SMTP_URL), the answer is 202 for new and known addresses alike, and the account begins when the
    link in the mail is opened. Without it the account begins at once, with a session. Its mails are written in the
    language that Accept-Language prefers.
    """
    deps.limits.hit(rate_limit.SIGNUP, limit_key(address_of(request)))
    email = clean_email(data.email)
    passwords.check_password(data.password)
    password_hash = passwords.hash_password(data.password)
    if deps.settings.smtp_url:
        return _sign_up_by_mail(deps, request, data, email=email, password_hash=password_hash)
    try:
        with deps.database.transaction(SERVICE) as tx:
            account = accounts.signup(
                tx,
                email=email,
                password_hash=password_hash,
                display_name=data.display_name,
                language=language_of(request),
            )
            _remember_signup(tx, deps, request, account)
            session = begun.begin(tx, deps, request, account, method="signup", cookie=data.cookie)
    except EmailTakenError:
        if not _is_repeated(deps, request, email):
            raise
        return _sign_in_again(deps, request, data)
    mailing.send_link(deps, Verification(), recipient=account.email, user_id=account.id, language=account.language)
    return begun.answer(deps, account, session, cookie=data.cookie, status=201)


@post("/login", opt=ANYBODY, sync_to_thread=True, status_code=200)
def login(
    data: JSONBody[LoginRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[SessionView]]:
    """Log in with address and password, and where the account asks for one with a one-time or recovery code.

    `second_factor_required` says that the password is right and `code` is needed too.
    """
    account = guessing.check_login(deps, request, email=data.email, password=data.password)
    method = guessing.check_second_factor(deps, account, code=data.code)
    return begun.log_in(deps, request, account, method=method, cookie=data.cookie)


@post("/session", opt=ANYBODY, sync_to_thread=True, status_code=200)
def exchange(
    data: JSONBody[ExchangeRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[SessionView]]:
    """Exchange a Supabase access token for a session of the app, in a cookie."""
    deps.limits.hit(rate_limit.LINKS, limit_key(address_of(request)))
    claims = deps.tokens.check(data.access_token)
    if not claims.is_foreign:
        raise ForbiddenError("This is not a token of Supabase; log in with /api/auth/login.")
    with deps.database.transaction(SERVICE) as tx:
        account, _ = sessions.authenticate(tx, claims)
    return begun.log_in(deps, request, account, method="external", cookie=data.cookie)


@post("/logout", guards=[people_only], sync_to_thread=True, status_code=200, opt={UNMETERED: True})
def logout(
    request: ApiRequest, deps: NamedDependency[Deps], data: Annotated[LogoutRequest | None, Body()] = None
) -> Response[Answer[Done]]:
    """End this session, or every way in: all sessions, reset links and, unless they are kept, API keys."""
    claims = request.user.claims
    if claims is not None:
        with deps.database.transaction(SERVICE) as tx:
            sessions.end(tx, claims)
            if data and data.everywhere:
                sessions.end_everything(tx, user_id=claims.user_id, now=deps.clock(), keep_api_keys=data.keep_api_keys)
    return Response(Answer(data=Done(status="logged_out")), cookies=ended_cookies())


@post("/verify", opt=ANYBODY, sync_to_thread=True, status_code=200)
def verify(data: JSONBody[VerifyRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Confirm an address with the token of the link that was mailed."""
    deps.limits.hit(rate_limit.LINKS, limit_key(address_of(request)))
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=account_view(accounts.verify(tx, token=data.token)))


@post("/forgot", opt=ANYBODY, sync_to_thread=True, status_code=202)
def forgot(data: JSONBody[ForgotRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Mail a link to choose a new password. The answer is the same whether the address has an account or not."""
    deps.limits.hit(rate_limit.LINKS, limit_key(address_of(request)))
    email = data.email.strip().lower()
    # Too many are dropped silently: a different answer would reveal that there is an account.
    if is_email(email) and mailing.may_mail(deps, email):
        mailing.send_link(deps, PasswordReset(), recipient=email, language=language_of(request))
    return Answer(data=Done(status="mailed_if_known"))


@post("/reset", opt=ANYBODY, sync_to_thread=True, status_code=200)
def reset(data: JSONBody[ResetRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[AccountView]:
    """Choose a new password with the token of the link that was mailed. Every session and API key ends."""
    deps.limits.hit(rate_limit.LINKS, limit_key(address_of(request)))
    passwords.check_password(data.password)
    password_hash = passwords.hash_password(data.password)
    with deps.database.transaction(SERVICE) as tx:
        account = accounts.reset(
            tx,
            token=data.token,
            password_hash=password_hash,
            now=deps.clock(),
            keep_api_keys=data.keep_api_keys,
        )
    return Answer(data=account_view(account))


def _sign_up_by_mail(
    deps: Deps, request: ApiRequest, data: SignupRequest, *, email: str, password_hash: str
) -> Response[Any]:
    """Store the sign-up and send its mail. The answer and its time do not reveal whether the address has an account."""
    if mailing.may_mail(deps, email):
        with deps.database.transaction(SERVICE) as tx:
            language = language_of(request)
            signup_id = accounts.request_signup(
                tx,
                email=email,
                password_hash=password_hash,
                display_name=data.display_name,
                language=language,
                now=deps.clock(),
            )
            mailing.queue(tx, Verification(signup_id=str(signup_id)), recipient=email, language=language)
    return Response(Answer(data=Done(status="check_mail")), status_code=202)


def _remember_signup(tx: Transaction, deps: Deps, request: ApiRequest, account: Account) -> None:
    """Store the account of this sign-up, but not the answer, which contains a token."""
    if (key := request.headers.get(HEADER)) is None:
        return
    request_hash = fingerprint(deps, request)
    idempotency.begin(tx, user_id=account.id, key=key, request_hash=request_hash)
    idempotency.remember(
        tx, user_id=account.id, key=key, request_hash=request_hash, status=201, response={"id": str(account.id)}
    )


def _is_repeated(deps: Deps, request: ApiRequest, email: str) -> bool:
    """Return whether an earlier try of this request made the account of this address."""
    if (key := request.headers.get(HEADER)) is None:
        return False
    with deps.database.transaction(SERVICE) as tx:
        user_id = accounts.find_credentials(tx, email=email).user_id
        if user_id is None:
            return False
        return idempotency.begin(tx, user_id=user_id, key=key, request_hash=fingerprint(deps, request)) is not None


def _sign_in_again(deps: Deps, request: ApiRequest, data: SignupRequest) -> Response[Answer[SessionView]]:
    """Answer a repeated sign-up with a new session, if its password is still the account's."""
    try:
        account = guessing.check_login(deps, request, email=data.email, password=data.password)
    except UnauthenticatedError:
        raise EmailTakenError("There is an account with this address already; log in.") from None
    guessing.check_second_factor(deps, account, code=None)
    with deps.database.transaction(SERVICE) as tx:
        session = begun.begin(tx, deps, request, account, method="password", cookie=data.cookie)
    return begun.answer(deps, account, session, cookie=data.cookie, status=201, headers=REPLAYED)


auth_router = Router(
    "/api/auth", route_handlers=[signup, login, exchange, logout, verify, forgot, reset], tags=["Accounts"]
)
