"""Answer a creating request once: with an Idempotency-Key, a repeat gets the first answer."""

from collections.abc import Callable
from typing import Any, TypeVar

from litestar import MediaType, Response

from api.deps import Deps
from api.http.request import ApiRequest
from api.schemas.answers import Answer
from api.schemas.credentials import without_credentials
from db.connection import Transaction
from services import idempotency

T = TypeVar("T")
HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}


def answer_once(
    deps: Deps,
    request: ApiRequest,
    work: Callable[[Transaction], T],
    *,
    status: int | Callable[[T], int] = 201,
    replayed: Callable[[Transaction, dict[str, Any]], T] | None = None,
) -> Response[Answer[T]]:
    """Do the work in one transaction and answer. A repeat with the same key and body only gets the same answer.

    Fields marked as CREDENTIAL (secrets, signed addresses) are never stored. A route whose answer has some passes
    `replayed`, which makes the answer to a repeat from the stored data and the current state.
    """
    key = request.headers.get(HEADER)
    with deps.database.transaction(request.user.identity) as tx:
        if key is None:
            return _answer(work(tx), status)
        request_hash = fingerprint(deps, request)
        user_id = request.user.user_id
        first = idempotency.begin(tx, user_id=user_id, key=key, request_hash=request_hash)
        if first is not None:
            return _replay(tx, first, replayed)
        data = work(tx)
        answer = _answer(data, status)
        kept, has_credentials = without_credentials(Answer(data=data))
        if has_credentials and replayed is None:
            raise RuntimeError(f"{request.method} {request.scope['path']} answers with credentials and has no replay")
        idempotency.remember(
            tx,
            user_id=user_id,
            key=key,
            request_hash=request_hash,
            status=answer.status_code or 201,
            response=kept,
        )
        return answer


def find_answer(
    deps: Deps, request: ApiRequest, *, replayed: Callable[[Transaction, dict[str, Any]], Any] | None = None
) -> Response[Any] | None:
    """Return the answer to a repeated request, for handlers that ask storage or network before `answer_once`.

    `replayed` as in `answer_once`. IdempotencyKeyReusedError and its like when the key cannot be used.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    with deps.database.transaction(request.user.identity) as tx:
        request_hash = fingerprint(deps, request)
        first = idempotency.begin(tx, user_id=request.user.user_id, key=key, request_hash=request_hash)
        return None if first is None else _replay(tx, first, replayed)


def fingerprint(deps: Deps, request: ApiRequest) -> bytes:
    """Return a fingerprint of the request."""
    path = request.scope["path"]
    return idempotency.fingerprint(deps.settings.jwt_secret, method=request.method, path=path, body=request.raw_body)


def _answer(data: T, status: int | Callable[[T], int]) -> Response[Answer[T]]:
    return Response(Answer(data=data), status_code=status if isinstance(status, int) else status(data))


def _replay(
    tx: Transaction,
    first: idempotency.StoredAnswer,
    replayed: Callable[[Transaction, dict[str, Any]], T] | None,
) -> Response[Any]:
    response = first.response if replayed is None else Answer(data=replayed(tx, first.response["data"]))
    return Response(response, status_code=first.status, headers=REPLAYED, media_type=MediaType.JSON)
