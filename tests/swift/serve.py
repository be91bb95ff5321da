"""Runs a whole Swift with its S3 API in one process: `python serve.py FOLDER [PORT]`, by the Python of its own venv.

Prints `ready PORT` once it serves. Data in FOLDER survives a restart, also after kill -9. One account, `media:app` with
SECRET_KEY, in region us-east-1; the same S3 is served below MOUNT too. `tests/swift_server.py` starts it.
"""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eventlet
from swift.common import constraints, utils, wsgi

utils.monkey_patch()

from eventlet import wsgi as eventlet_wsgi  # noqa: E402 - after patching
from swift.common.middleware.s3api.s3request import SigV4Mixin  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402

BACKENDS = ("account", "container", "object")
PART_POWER = 4  # sixteen partitions on one device: fewer folders, faster start
SECRET_KEY = "secretsecret123"
MOUNT = "/storage/v1/s3"
MOUNT_KEY = "snuggles.mount"

SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = {prefix}
swift_hash_path_suffix = media
[swift-constraints]
max_file_size = 53687091200
"""

BACKEND_CONF = """
[DEFAULT]
devices = {folder}/node
mount_check = false
swift_dir = {folder}/etc
recon_cache_path = {folder}/cache
log_level = WARNING
disable_fallocate = true
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{name}
"""

PROXY_CONF = """
[DEFAULT]
swift_dir = {folder}/etc
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth bulk copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = false
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
dns_compliant_bucket_names = true
max_upload_part_num = 10000
[filter:tempauth]
use = egg:swift#tempauth
user_media_app = {secret} .admin
[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000
"""
PLAIN_FILTERS = ("catch_errors", "gatekeeper", "listing_formats", "bulk", "copy", "dlo")


def configure(folder: Path, ports: dict[str, int]) -> None:
    etc = folder / "etc"
    for part in (etc, folder / "node" / "sdb1", folder / "cache"):
        part.mkdir(parents=True, exist_ok=True)
    swift_conf = etc / "swift.conf"
    if not swift_conf.exists():
        swift_conf.write_text(SWIFT_CONF.format(prefix=secrets.token_hex(8)))
    for name, port in ports.items():
        ring = RingBuilder(PART_POWER, 1, 0)
        ring.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "sdb1", "weight": 1})
        ring.rebalance(seed=1)
        ring.get_ring().save(str(etc / f"{name}.ring.gz"))
        (etc / f"{name}-server.conf").write_text(BACKEND_CONF.format(folder=folder, name=name))
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in PLAIN_FILTERS)
    (etc / "proxy-server.conf").write_text(PROXY_CONF.format(folder=folder, secret=SECRET_KEY) + filters)


def also_below(mount: str, app: Callable[..., Any]) -> Callable[..., Any]:
    """Serve the same below a path, as some S3 services do."""

    def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        if path.startswith(f"{mount}/"):
            environ["PATH_INFO"] = path.removeprefix(mount)
            environ[MOUNT_KEY] = mount
        return app(environ, start_response)

    return served


def sign_whole_paths() -> None:
    """Let signatures cover the path as the client sent it: Swift knows no other than its own."""
    own_path = SigV4Mixin._canonical_uri  # noqa: SLF001 - there is no setting for it

    def whole_path(request: Any) -> bytes:
        return request.environ.get(MOUNT_KEY, "").encode() + own_path(request)

    SigV4Mixin._canonical_uri = whole_path  # noqa: SLF001 - the same


def serve(folder: Path, sockets: dict[str, eventlet.greenio.GreenSocket]) -> None:
    sign_whole_paths()
    utils.set_swift_dir(str(folder / "etc"))
    constraints.reload_constraints()
    servers = []
    for name, listener in sockets.items():
        conf_file = str(folder / "etc" / f"{name}-server.conf")
        section = "proxy-server" if name == "proxy" else "server"
        app, _, _, _ = wsgi.init_request_processor(conf_file, section)
        if name == "proxy":
            app = also_below(MOUNT, app)
        servers.append(
            eventlet.spawn(
                eventlet_wsgi.server,
                listener,
                app,
                wsgi.NullLogger(),
                protocol=wsgi.SwiftHttpProtocol,
                # S3 clients look for `ETag`; eventlet would write `Etag`.
                capitalize_response_headers=False,
                log_output=False,
            )
        )
    print("ready", sockets["proxy"].getsockname()[1], flush=True)  # noqa: T201 - this is how the parent learns the port
    for server in servers:
        server.wait()


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in BACKENDS}
    configure(folder, {name: listener.getsockname()[1] for name, listener in sockets.items()})
    serve(folder, {**sockets, "proxy": eventlet.listen(("127.0.0.1", port))})


if __name__ == "__main__":
    main()
