"""The one map from error codes to statuses, and the envelope of every failure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import psycopg
import redis.exceptions
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.types import ExceptionHandlersMap

from api.http.validation import invalid_parameter
from api.limits.metering import refused_headers
from db.connection import DatabaseUnavailableError
from services import errors
from services.errors import DomainError, InvalidFieldError, NotFoundError, UnavailableError
from services.recordings.admission import disk_full
from storage.store import InvalidKeyError, InvalidPartError, ObjectNotFoundError, StorageError, StorageFullError

logger = structlog.get_logger(__name__)

# Litestar gives the parameter's name only in this message.
MISSING_PARAMETER = re.compile(r"Missing required \w+ parameter '(?P<name>[^']+)'")
RETRY_AFTER_S = 5  # a restart of PostgreSQL takes about this long


class MalformedBodyError(DomainError):
    """The body is not JSON."""

    code: ClassVar[str] = "malformed_json"


class InternalError(DomainError):
    """An error in the service itself."""

    code: ClassVar[str] = "internal_error"


STATUS: Mapping[type[DomainError], int] = {
    DomainError: 400,
    MalformedBodyError: 400,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.PayloadTooLargeError: 413,
    errors.UnsupportedMediaTypeError: 415,
    errors.InvalidFieldError: 422,
    errors.QuotaExceededError: 429,
    errors.RateLimitedError: 429,
    InternalError: 500,
    errors.UnavailableError: 503,
    errors.BillingNotConfiguredError: 503,
}

HTTP_CODES: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "The request could not be understood."),
    401: ("unauthenticated", "Log in first."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing at this address; /api/docs lists what there is."),
    405: ("method_not_allowed", "This address does not take this method; the Allow header lists those it takes."),
    413: (
        "payload_too_large",
        "The body is too large; recordings are uploaded in parts to the addresses given for them.",
    ),
    415: ("unsupported_media_type", "Send JSON, with Content-Type: application/json."),
    429: ("rate_limited", "Too many requests; wait a little."),
    503: ("unavailable", "A part of the service does not answer; try again in a moment."),
}


def status_of(error: DomainError) -> int:
    """Return the HTTP status of an error: that of its class or its nearest base class."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def body_of(error: DomainError) -> dict[str, Any]:
    """Return the envelope of a failure."""
    return failure(error.code, error.message, retryable=error.retryable, details=error.details)


def failure(code: str, message: str, *, retryable: bool, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the envelope of a failure from its parts."""
    return {
        "success": False,
        "error": {"code": code, "message": message, "retryable": retryable, "details": dict(details)},
    }


def domain_response(error: DomainError) -> Response[Any]:
    """Return the answer to a request that broke a rule."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if status == 401:  # noqa: PLR2004 - the HTTP status
        headers["WWW-Authenticate"] = 'Bearer realm="Big Snuggles"'
    if status in (429, 503):
        headers["Retry-After"] = str(max(1, int(error.details.get("retry_after_s", RETRY_AFTER_S))))
        headers |= refused_headers(error.details)
    return Response(body_of(error), status_code=status, headers=headers, media_type=MediaType.JSON)


def _domain(request: Request[Any, Any, Any], error: DomainError) -> Response[Any]:
    request.app.state.deps.metrics.refuse(error)
    return domain_response(error)


def _unavailable(what: str) -> Callable[[Request[Any, Any, Any], Exception], Response[Any]]:
    def handle(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        logger.warning("part_unavailable", what=what, error=str(error), cause=repr(error.__cause__))
        return domain_response(UnavailableError(f"The {what} does not answer; try again in a moment.", part=what))

    return handle


def _disk_full(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    logger.warning("disk_full", error=str(error))
    return domain_response(disk_full())


def _object_missing(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    logger.warning("object_missing", error=str(error))
    return domain_response(NotFoundError("The file is no longer in storage."))


def _bad_part(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return domain_response(InvalidFieldError("parts", str(error)))


def _bad_key(_request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    return domain_response(InvalidFieldError("filename", "This name cannot be stored; choose a plainer one."))


def _bad_data(_request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    # PostgreSQL refuses values that JSON allows, such as U+0000 in text. Schemas catch the known ones.
    return domain_response(InvalidFieldError("body", "A value holds characters or numbers that cannot be stored."))


def _parameter(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    if missing := MISSING_PARAMETER.search(error.detail):
        return domain_response(InvalidFieldError(missing["name"], f"{missing['name']} is missing."))
    problems = error.extra if isinstance(error.extra, list) else []
    first = problems[0] if problems else {}
    field = str(first.get("key", "request"))
    if first.get("source") == "body" and field == "data":
        return domain_response(MalformedBodyError("This request needs a JSON body."))
    signature = request.scope["route_handler"].parsed_fn_signature.parameters.get(field)
    return domain_response(invalid_parameter(field, str(first.get("message", "")), signature.raw if signature else Any))


CLIENT_LEFT = 499
"""nginx's status for a client that disconnected before the answer. It appears in logs and metrics only."""


def _http(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    status = error.status_code
    if isinstance(error, InternalServerException) and "disconnected" in error.detail:
        return Response(b"", status_code=CLIENT_LEFT)
    if status >= 500 and status not in HTTP_CODES:  # noqa: PLR2004 - the first of the server's statuses
        return _unexpected(_request, error)
    return status_response(status, dict(error.headers or {}))


def status_response(status: int, headers: Mapping[str, str] | None = None) -> Response[Any]:
    """Return the answer for a failure that has only a status."""
    code, message = HTTP_CODES.get(status, HTTP_CODES[400])
    body = failure(code, message, retryable=status in (429, 503), details={})
    return Response(body, status_code=status, headers=dict(headers or {}), media_type=MediaType.JSON)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    trace_id = str(request.scope.get("state", {}).get("trace_id", ""))
    logger.error("unexpected_error", path=request.scope.get("path_template", ""), exc_info=error)
    return domain_response(
        InternalError(
            f"Something went wrong on our side. If it keeps happening, report it with the id {trace_id}.", id=trace_id
        )
    )


def exception_handlers() -> ExceptionHandlersMap:
    """Return the handlers that turn every exception into an answer."""
    return {
        DomainError: _domain,
        DatabaseUnavailableError: _unavailable("database"),
        psycopg.errors.QueryCanceled: _unavailable("database"),
        psycopg.errors.LockNotAvailable: _unavailable("database"),
        psycopg.DataError: _bad_data,
        redis.exceptions.RedisError: _unavailable("Redis server"),
        StorageError: _unavailable("storage"),
        StorageFullError: _disk_full,
        ObjectNotFoundError: _object_missing,
        InvalidPartError: _bad_part,
        InvalidKeyError: _bad_key,
        ValidationException: _parameter,
        HTTPException: _http,
        Exception: _unexpected,
    }
