"""The process that serves only Socket.IO. It does not load the API's handlers or their dependencies."""

from api.assembly import assemble, open_base_deps
from api.processes.serving import serve
from api.realtime.server import Realtime
from api.routes.operations.health import health_router
from services.process.settings import Settings


def run(settings: Settings) -> None:
    """Serve Socket.IO, /health, /ready and /metrics until SIGTERM or Ctrl-C."""
    deps = open_base_deps(settings)
    realtime = Realtime(deps)
    serve(realtime.mount(assemble(deps, [health_router], background=[realtime.running])), deps)
