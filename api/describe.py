"""Write the API's OpenAPI document, and the types of Socket.IO's events, without any server.

`python -m api.describe OPENAPI_JSON [EVENTS_TS]`
"""

import sys
from pathlib import Path

import msgspec

from api.app import create_app, open_deps
from api.openapi.document import complete
from api.realtime.server import Realtime
from api.realtime.typescript import typescript
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


def describe(path: Path, events: Path | None = None) -> None:
    """Write the document, and the types of events where `events` names a file; OSError when that fails."""
    deps = open_deps(settings.load(SETTINGS))
    app = create_app(deps)
    if events is not None:
        events.write_text(typescript(Realtime(deps).commands))
    document = complete(app, app.openapi_schema.to_schema())
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))


if __name__ == "__main__":
    describe(*map(Path, sys.argv[1:3]))
