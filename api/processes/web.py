"""The process that serves the API."""

from api.app import create_app, open_deps
from api.processes.serving import serve
from api.realtime.server import Realtime
from services.billing.sync import require_own_mode
from services.process.settings import Settings


def run(settings: Settings, *, with_sockets: bool = False) -> None:
    """Serve the API until SIGTERM or Ctrl-C. `with_sockets` serves Socket.IO in the same process."""
    deps = open_deps(settings)
    if deps.billing is not None:
        require_own_mode(deps.billing)
    if not with_sockets:
        serve(create_app(deps), deps)
        return
    realtime = Realtime(deps)
    serve(realtime.mount(create_app(deps, background=[realtime.running])), deps)
