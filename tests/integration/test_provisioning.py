from datetime import UTC, datetime

import pytest

from db.connection import SERVICE, Database
from services.accounts import password as passwords
from services.accounts import provisioning
from services.accounts import service as accounts
from services.errors import InvalidFieldError, NotFoundError

NOW = datetime.now(UTC)


def test_created_user_has_the_tier_and_may_log_in(database: Database) -> None:
    with database.transaction(SERVICE) as tx:
        made = provisioning.create_user(
            tx, email="Ada@Example.com", password="correct horse", tier="pro", is_admin=True
        )
        again = accounts.find_credentials(tx, email="ada@example.com")
        found = provisioning.find_user_id(tx, email="ADA@example.com")
    assert again.user_id == made.id == found
    assert passwords.matches(again.password_hash, "correct horse")
    assert made.tier == "pro"
    assert made.is_admin
    assert made.email_verified_at is not None


def test_unknown_tier_is_refused(database: Database) -> None:
    with (
        database.transaction(SERVICE) as tx,
        pytest.raises(InvalidFieldError, match="one of free, premium, pro"),
    ):
        provisioning.create_user(tx, email="a@b.example", password=None, tier="gold", is_admin=False)


def test_unknown_address_is_not_found(database: Database) -> None:
    with database.transaction(SERVICE) as tx, pytest.raises(NotFoundError, match="nobody@example"):
        provisioning.find_user_id(tx, email="nobody@example.com")
