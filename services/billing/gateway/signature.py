"""The signature of Stripe's webhooks."""

from datetime import datetime

import stripe

TOLERANCE_S = 300  # as in Stripe's SDK: a longer one allows more replays, a shorter one needs exact clocks


def check_signature(body: bytes, header: str | None, secret: str, *, now: datetime) -> bool:
    """Return whether Stripe signed this body within the last minutes. The SDK would accept a time in the future."""
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, tolerance=None)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    stamps = [part.partition("=")[2] for part in (header or "").split(",") if part.strip().startswith("t=")]
    return bool(stamps) and all(
        stamp.isascii() and stamp.isdigit() and abs(now.timestamp() - int(stamp)) <= TOLERANCE_S for stamp in stamps
    )
