"""Passkeys (WebAuthn): a login without a password, by a key that its authenticator unlocks for its owner."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json
from webauthn.helpers.exceptions import InvalidAuthenticationResponse, InvalidJSONStructure, InvalidRegistrationResponse
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from db import second_factors as rows
from db.accounts import Account
from db.connection import Transaction
from db.second_factors import Passkey
from services.errors import ConflictError, InvalidFieldError, NotFoundError, UnauthenticatedError
from services.sanitising import clean_name

__all__ = ["Passkey"]

SITE_NAME = "Big Snuggles"
MAX_PASSKEYS = 20


def creation_options(account: Account, known: list[Passkey], *, public_url: str, challenge: bytes) -> dict[str, Any]:
    """Return the argument of `navigator.credentials.create`."""
    options = webauthn.generate_registration_options(
        rp_id=_site(public_url),
        rp_name=SITE_NAME,
        user_id=account.id.bytes,
        user_name=account.email,
        user_display_name=account.display_name or account.email,
        challenge=challenge,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return dict(msgspec.json.decode(options_to_json(options)))


def request_options(*, public_url: str, challenge: bytes) -> dict[str, Any]:
    """Return the argument of `navigator.credentials.get`; the authenticator knows which passkeys it has."""
    options = webauthn.generate_authentication_options(
        rp_id=_site(public_url), challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
    )
    return dict(msgspec.json.decode(options_to_json(options)))


def register(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    name: str,
    credential: dict[str, Any],
    challenge: bytes,
    public_url: str,
) -> Passkey:
    """Add a passkey that answered the challenge (service transaction).

    InvalidFieldError if it did not, ConflictError if it is registered or there are too many.
    """
    name = clean_name(name)
    if not name:
        raise InvalidFieldError("name", "A name has at least one visible character.")
    if len(rows.list_passkeys(tx, user_id=user_id)) >= MAX_PASSKEYS:
        raise ConflictError(f"An account has at most {MAX_PASSKEYS} passkeys; delete one first.", reason="too_many")
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=_site(public_url),
            expected_origin=_origin(public_url),
            require_user_verification=True,
        )
    except (InvalidRegistrationResponse, InvalidJSONStructure, ValueError, KeyError, TypeError) as error:
        raise InvalidFieldError(
            "credential", "The passkey did not answer the challenge; try again.", reason="passkey_failed"
        ) from error
    added = rows.insert_passkey(
        tx,
        user_id=user_id,
        name=name,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
    )
    if added is None:
        raise ConflictError("This passkey is registered already.", reason="passkey_registered")
    return added


def authenticate(tx: Transaction, *, credential: dict[str, Any], challenge: bytes, public_url: str) -> UUID:
    """Return the owner of the passkey that answered the challenge (service transaction); else UnauthenticatedError."""
    refused = UnauthenticatedError(
        "This passkey is not known here, or did not answer the challenge; try again.", reason="passkey_unknown"
    )
    try:
        passkey = rows.find_passkey(tx, credential_id=base64url_to_bytes(str(credential.get("id", ""))))
        if passkey is None:
            raise refused
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=_site(public_url),
            expected_origin=_origin(public_url),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (InvalidAuthenticationResponse, InvalidJSONStructure, ValueError, KeyError, TypeError) as error:
        raise refused from error
    if not rows.use_passkey(tx, passkey_id=passkey.id, sign_count=verified.new_sign_count):
        raise refused
    return passkey.user_id


def list_passkeys(tx: Transaction, *, user_id: UUID) -> list[Passkey]:
    """List a user's passkeys (service transaction)."""
    return rows.list_passkeys(tx, user_id=user_id)


def delete(tx: Transaction, *, user_id: UUID, passkey_id: UUID) -> str:
    """Delete a passkey and return its name (service transaction). Raises NotFoundError."""
    name = rows.delete_passkey(tx, user_id=user_id, passkey_id=passkey_id)
    if name is None:
        raise NotFoundError("There is no such passkey.")
    return name


def _site(public_url: str) -> str:
    return urlsplit(public_url).hostname or "localhost"


def _origin(public_url: str) -> str:
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}"
