"""Writes `docs/access.md`: `make access`."""

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from support.access.catalogue import read_catalogue
from support.access.document import PATH, document
from support.access.routes import read_routes
from support.servers.launch import start, stop

from api.app import create_app, open_deps
from api.describe import SETTINGS
from cli.embedded import postgres
from cli.embedded.port import free_port
from db.migrate import migrate
from services.process import settings


def main() -> None:
    """Migrate an empty database and read it, and the application's routes."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = postgres.PostgresServer(
            Path(folder) / "data", port=free_port(), password=secrets.token_urlsafe(), durable=False
        )
        server.prepare()
        with server.program() as program:
            process = start(program, lambda: postgres.is_ready(server.url("postgres")), Path(folder) / "log")
            try:
                postgres.ensure_database(server.url("postgres"), "access")
                migrate(server.url("access"))
                with psycopg.connect(server.url("access")) as owner:
                    tables = read_catalogue(owner)
            finally:
                stop(process, 2)
    app = create_app(open_deps(settings.load({**SETTINGS, "STORAGE_DIR": "/nowhere", "S3_ENDPOINT": ""})))
    PATH.write_text(document(tables, read_routes(app)), encoding="utf-8")


if __name__ == "__main__":
    main()
