"""Beginning a session: in a cookie that scripts do not see, or as a token in the body, never both."""

from typing import Any

from litestar import Response

from api.auth import session_cookies
from api.deps import Deps
from api.http.client_address import address_of
from api.http.request import ApiRequest
from api.schemas.accounts.account import session_view
from api.schemas.answers import Answer
from db.connection import SERVICE, Transaction
from services.accounts import session as sessions
from services.accounts.service import Account
from services.accounts.session import BEARER_FOR, COOKIE_FOR, Method
from services.accounts.token import Session


def begin(  # noqa: PLR0913 - one per parameter of the request
    tx: Transaction, deps: Deps, request: ApiRequest, account: Account, *, method: Method, cookie: bool
) -> Session:
    """Add a session for a user who has proved who they are (service transaction)."""
    return sessions.begin(
        tx,
        deps.tokens,
        account=account,
        method=method,
        user_agent=request.headers.get("user-agent", ""),
        address=address_of(request),
        lasts=COOKIE_FOR if cookie else BEARER_FOR,
        now=deps.clock(),
    )


def log_in(deps: Deps, request: ApiRequest, account: Account, *, method: Method, cookie: bool) -> Response[Any]:
    """Begin a session and answer with it."""
    with deps.database.transaction(SERVICE) as tx:
        session = begin(tx, deps, request, account, method=method, cookie=cookie)
    return answer(deps, account, session, cookie=cookie, status=200)


def answer(  # noqa: PLR0913 - keyword-only
    deps: Deps,
    account: Account,
    session: Session,
    *,
    cookie: bool,
    status: int,
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    """Answer with a session."""
    return Response(
        Answer(data=session_view(account, session, in_body=not cookie)),
        status_code=status,
        cookies=session_cookies(deps, session) if cookie else None,
        headers=headers,
    )
