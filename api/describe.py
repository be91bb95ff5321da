"""Write the API's OpenAPI document to a file, without any server: `python -m api.describe FILE`."""

import sys
from pathlib import Path

import msgspec

from api.app import create_app, open_deps
from api.openapi.document import complete
from services.process import settings

# Enough to put the application together; nothing is connected to, and nothing is signed.
SETTINGS = {
    "DATABASE_URL": "postgresql://nobody@localhost/none",
    "REDIS_URL": "redis://localhost/0",
    "S3_ENDPOINT": "http://localhost",
    "S3_ACCESS_KEY": "none",
    "S3_SECRET_KEY": "none",
    "JWT_SECRET": "only to describe the API, no secret",
}


def describe(path: Path) -> None:
    """Write the document; OSError when it cannot be written."""
    app = create_app(open_deps(settings.load(SETTINGS)))
    document = complete(app, app.openapi_schema.to_schema())
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))


if __name__ == "__main__":
    describe(Path(sys.argv[1]))
