"""The process of Socket.IO alone. It loads none of the API's handlers, nor what only they need."""

from api.assembly import assemble, open_base_deps
from api.realtime.server import Realtime
from api.routes.operations.health import health_router
from api.serving import serve
from services.process.settings import Settings


def run(settings: Settings) -> None:
    """Serve Socket.IO until SIGTERM or Ctrl-C, and beside it only /health, /ready and /metrics."""
    deps = open_base_deps(settings)
    realtime = Realtime(deps)
    serve(realtime.mount(assemble(deps, [health_router], background=[realtime.running])), deps)
