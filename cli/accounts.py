"""Commands for accounts of a running service, or of an embedded one that is stopped."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.environment import explained

Email = Annotated[str, typer.Argument(metavar="EMAIL")]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of an embedded stack [default: DATABASE_URL, else $SNUGGLES_DATA, or .snuggles]."),
]


def create(
    email: Email,
    *,
    password: Annotated[str | None, typer.Option(help="Without one, only tokens and mailed links open it.")] = None,
    tier: Annotated[str, typer.Option(help="free, premium or pro.")] = "free",
    admin: Annotated[bool, typer.Option("--admin", help="May operate the service.")] = False,
    data: Data = None,
) -> None:
    """Create an account and print its id."""
    from cli.stack.access import open_access
    from db.connection import SERVICE
    from services.accounts import provisioning

    with explained(), open_access(data, os.environ) as access, access.database.transaction(SERVICE) as tx:
        account = provisioning.create_user(tx, email=email, password=password, tier=tier, is_admin=admin)
    typer.echo(str(account.id))


def token(email: Email, *, data: Data = None) -> None:
    """Print a token (JWT) of this user for the API, valid for a day."""
    from cli.stack.access import open_access
    from db.connection import SERVICE
    from services.accounts import provisioning
    from services.accounts.token import Tokens

    with explained(), open_access(data, os.environ) as access, access.database.transaction(SERVICE) as tx:
        user_id = provisioning.find_user_id(tx, email=email)
        issued = Tokens(access.jwt_secret).issue(user_id, email=email.strip().lower())
    typer.echo(issued.token)
