"""The script that makes the application's login."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from cli.embedded.installation import find_binaries
from db.connection import SERVICE, Database
from db.migrate import migrate

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def fresh_roles(empty_database_url: str) -> Iterator[None]:
    """Roles belong to the server, which other tests use: give the login another name here."""
    yield
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY snuggles_app_2")
        connection.execute("DROP ROLE snuggles_app_2")


@pytest.mark.usefixtures("fresh_roles")
def test_login_of_the_script_reaches_the_schema(empty_database_url: str, tmp_path: Path) -> None:
    script = (DEPLOY / "postgres/application-login.sh").read_text().replace("ROLE snuggles_app", "ROLE snuggles_app_2")
    psql = find_binaries(tmp_path / "none", None) / "psql"
    parts = urlsplit(empty_database_url)
    environment = {
        "PATH": f"{psql.parent}:{os.environ['PATH']}",
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port),
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGDATABASE": parts.path[1:],
        "SNUGGLES_APP_PASSWORD": "it's a secret",
    }
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("GRANT anon, authenticated, service_role TO snuggles_app_2")
    url = f"postgresql://snuggles_app_2:it%27s%20a%20secret@{parts.hostname}:{parts.port}{parts.path}"
    database = Database(url, max_size=1)
    database.open(wait_s=10)
    try:
        with database.transaction(SERVICE) as tx:
            assert tx.execute("SELECT count(*) AS n FROM jobs").fetchone() == {"n": 0}
    finally:
        database.close()
