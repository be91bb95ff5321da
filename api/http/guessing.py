"""Password checks. Each guess is counted before it is checked, so that concurrent guesses count too."""

from api.deps import Deps
from api.http.client_address import address_of, limit_key
from api.http.request import ApiRequest
from api.limits import rate_limit
from db.connection import SERVICE
from db.sessions import Method
from services.accounts import password as passwords
from services.accounts import second_factor
from services.accounts import service as accounts
from services.accounts.email_address import MAX_LENGTH
from services.accounts.second_factor import SecondFactorRequiredError
from services.accounts.service import Account, Credentials
from services.errors import ForbiddenError, UnauthenticatedError


def check_login(deps: Deps, request: ApiRequest, *, email: str, password: str) -> Account:
    """Return the account with this address and password.

    Raises UnauthenticatedError, with the same message and after the same time whatever was wrong, or RateLimitedError.
    """
    email = email.strip().lower()[:MAX_LENGTH]
    _count(deps, request, email)
    with deps.database.transaction(SERVICE) as tx:
        credentials = accounts.find_credentials(tx, email=email)
    if not passwords.matches(credentials.password_hash, password) or credentials.user_id is None:
        raise UnauthenticatedError("The address or the password is wrong.", reason="wrong_login")
    deps.limits.clear(rate_limit.PASSWORD_GUESSES, email)
    with deps.database.transaction(SERVICE) as tx:
        if credentials.password_hash and passwords.needs_rehash(credentials.password_hash):
            accounts.rehash(tx, user_id=credentials.user_id, password=password)
        return accounts.get(tx, user_id=credentials.user_id)


def check_current_password(deps: Deps, request: ApiRequest, *, account: Account, password: str) -> None:
    """Raise ForbiddenError unless this is the account's password; RateLimitedError after too many guesses."""
    _count(deps, request, account.email)
    with deps.database.transaction(SERVICE) as tx:
        credentials: Credentials = accounts.get_credentials(tx, user_id=account.id)
    if not passwords.matches(credentials.password_hash, password):
        raise ForbiddenError("The current password is wrong.", reason="wrong_password")
    deps.limits.clear(rate_limit.PASSWORD_GUESSES, account.email)


def check_second_factor(deps: Deps, account: Account, *, code: str | None) -> Method:
    """Return the login method of a user whose password is right, after checking the code if the account needs one.

    SecondFactorRequiredError without a code, UnauthenticatedError for a wrong one, RateLimitedError.
    """
    with deps.database.transaction(SERVICE) as tx:
        if not second_factor.is_required(tx, user_id=account.id):
            return "password"
    if code is None:
        raise SecondFactorRequiredError("Send the code that the app shows, or a recovery code, as `code`.")
    deps.limits.hit(rate_limit.CODE_GUESSES, str(account.id))
    with deps.database.transaction(SERVICE) as tx:
        method = second_factor.use(tx, user_id=account.id, code=code, key=deps.settings.jwt_secret, now=deps.clock())
    if method is None:
        raise UnauthenticatedError("The code is wrong, or was used before.", reason="wrong_code")
    deps.limits.clear(rate_limit.CODE_GUESSES, str(account.id))
    return method


def _count(deps: Deps, request: ApiRequest, email: str) -> None:
    deps.limits.hit(rate_limit.GUESSES_OF_ADDRESS, limit_key(address_of(request)))
    deps.limits.hit(rate_limit.PASSWORD_GUESSES, email)
