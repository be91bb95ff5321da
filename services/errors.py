"""Errors that a client may see. Each has a stable code; `api/http/errors.py` alone knows which HTTP status fits it."""

from typing import Any, ClassVar


class DomainError(Exception):
    """A rule was broken, or something is missing. The message says what happened and what to do."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        self.message = message
        self.details = details
        super().__init__(message)


class UnauthenticatedError(DomainError):
    """No credentials, or invalid ones."""

    code = "unauthenticated"


class ForbiddenError(DomainError):
    """The caller is known, but may not do this."""

    code = "forbidden"


class TierRequiredError(ForbiddenError):
    """The tier does not include this."""

    code = "tier_required"


class NotFoundError(DomainError):
    """It does not exist, or belongs to another user; a client cannot tell which."""

    code = "not_found"


class ConflictError(DomainError):
    """The thing is not in a state that allows this."""

    code = "conflict"


class NotReadyError(ConflictError):
    """It is not yet in a state that allows this, but will be."""

    code = "not_ready"
    retryable = True


class IdempotencyKeyReusedError(ConflictError):
    """The same key came with another body."""

    code = "idempotency_key_reused"


class InvalidFieldError(DomainError):
    """A field's value cannot be accepted; `details.field` names it."""

    code = "invalid_field"

    def __init__(self, field: str, message: str, **details: Any) -> None:
        super().__init__(message, field=field, **details)


class PayloadTooLargeError(DomainError):
    """More bytes than allowed."""

    code = "payload_too_large"


class UnsupportedMediaTypeError(DomainError):
    """The type of the content is not accepted."""

    code = "unsupported_media_type"


class QuotaExceededError(DomainError):
    """The tier's allowance is used up."""

    code = "quota_exceeded"


class RateLimitedError(DomainError):
    """Too many requests; `details.retry_after_s` says when to try again."""

    code = "rate_limited"
    retryable = True


class UnavailableError(DomainError):
    """A part of the service does not answer, or it is too full to take more work; try again later."""

    code = "unavailable"
    retryable = True


class BillingNotConfiguredError(DomainError):
    """This installation takes no payments."""

    code = "billing_not_configured"
