"""The parts of a stack on one machine: embedded servers, unless the environment names others, and our processes."""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

from msgspec import Struct

from cli.embedded import postgres, valkey
from cli.embedded.port import HOST, free_port
from cli.embedded.postgres import PostgresServer
from cli.embedded.program import Program
from cli.embedded.stripe.simulation import Simulation
from cli.embedded.valkey import ValkeyServer
from cli.stack.folder import DataFolder, Secrets
from cli.stack.part import Part, always

# The settings that our processes get; no other variables are passed to them.
SETTINGS = (
    "DATABASE_URL",
    "REDIS_URL",
    "BROKER_URL",
    "S3_ENDPOINT",
    "S3_PUBLIC_ENDPOINT",
    "S3_REGION",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "S3_BUCKET_RECORDINGS",
    "S3_BUCKET_CLIPS",
    "CLIPS_PUBLIC_BASE_URL",
    "JWT_SECRET",
    "SUPABASE_JWKS_URL",
    "STRIPE_SECRET_KEY",
    "STRIPE_PUBLISHABLE_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_PRICE_PREMIUM",
    "STRIPE_PRICE_PRO",
    "STRIPE_API_BASE",
    "STRIPE_AUTOMATIC_TAX",
    "STRIPE_PROMOTION_CODES",
    "STRIPE_TRIAL_END",
    "BILLING_GRACE_DAYS",
    "BILLING_WITHDRAWAL_REFUND",
    "ADMIN_TOKEN",
    "SMTP_URL",
    "MAIL_FROM",
    "SENTRY_DSN",
    "PUBLIC_URL",
    "CORS_ORIGINS",
    "HOST",
    "APP_ENV",
    "LOG_LEVEL",
    "STORAGE_DIR",
    "SCRATCH_DIR",
    "WORKER_THREADS",
    "RECORDING_MAX_BYTES",
    "DISK_RESERVE_BYTES",
    "IMPORT_ALLOW_HOSTS",
    "SOCKET_EXEMPT_ADDRESSES",
    "ICE_SERVERS",
    "AUDIO_TAGGER_MODEL",
    "FORWARDED_ALLOW_IPS",
)
TRACING = "OTEL_"
"""The prefix of OpenTelemetry's settings."""
# Open downloads and streams are closed after this.
API_STOP_S = 10.0
WEBHOOK_PATH = "/api/subscription/webhook"
# Longer than the grace period of a worker, which finishes or hands back its jobs within half a minute.
WORKER_STOP_S = 40.0
SERVER_STOP_S = 30.0
REPLACE_DRAINED_AFTER_S = 20
"""A drained worker is replaced after being idle for this long; until then the drain can be undone."""


class Blueprint(Struct, frozen=True, kw_only=True):
    """The parts of a stack, and their addresses."""

    url: str
    environment: dict[str, str]
    """The settings of our processes."""
    migration_url: str
    application_password: str | None
    """The owner's URL of the embedded database; None for an external database."""
    servers: list[Part]
    services: list[Part]


def draw(
    folder: DataFolder, secrets: Secrets, environment: Mapping[str, str], *, port: int, with_shop: bool = False
) -> Blueprint:
    """Decide which parts run, and create the folders of embedded servers; EmbeddedError when one cannot run here.

    `with_shop` adds a simulation of Stripe, unless the environment names an account.
    """
    settings = {
        name: value for name, value in environment.items() if value and (name in SETTINGS or name.startswith(TRACING))
    }
    embeds_database = "DATABASE_URL" not in settings
    migration_url = environment.get("MIGRATION_DATABASE_URL") or settings.get("DATABASE_URL", "")
    servers = []
    if embeds_database:
        database = PostgresServer(folder.postgres, port=free_port(), password=secrets.database_owner)
        servers.append(database_part(database))
        migration_url = database.url()
        settings["DATABASE_URL"] = application_url(secrets, database.port)
    if "REDIS_URL" not in settings:
        cache = ValkeyServer(folder.valkey, port=free_port(), password=secrets.redis)
        servers.append(_cache_part(cache))
        settings["REDIS_URL"] = cache.url()
    defaults = {
        "HOST": HOST,
        "JWT_SECRET": secrets.jwt,
        "ADMIN_TOKEN": secrets.admin_token,
        "STORAGE_DIR": str(folder.storage),
        "SCRATCH_DIR": str(folder.scratch),
    }
    settings = defaults | settings | {"PORT": str(port)}
    url = f"http://{_reachable(settings['HOST'])}:{port}"
    replaced = ("--exit-when-drained", str(REPLACE_DRAINED_AFTER_S))
    settings.setdefault("PUBLIC_URL", url)
    if with_shop and "STRIPE_SECRET_KEY" not in settings:
        shop = Simulation(port=free_port(), webhook_secret=secrets.stripe_webhook, webhook_url=f"{url}{WEBHOOK_PATH}")
        servers.append(_shop_part(shop, folder))
        settings |= shop.settings()
    return Blueprint(
        url=url,
        environment=settings,
        migration_url=migration_url,
        application_password=secrets.database_application if embeds_database else None,
        servers=servers,
        services=[
            _service("api", settings, lambda: _answers(f"{url}/ready"), stop_s=API_STOP_S, options=("--with-sockets",)),
            _service("dispatcher", settings, lambda: True, stop_s=API_STOP_S),
            _service(
                "worker",
                settings,
                lambda: True,
                stop_s=WORKER_STOP_S,
                options=replaced,
            ),
        ],
    )


def application_url(secrets: Secrets, port: int) -> str:
    """Return the URL of the embedded database for our processes."""
    return postgres.database_url(postgres.APPLICATION, secrets.database_application, port, postgres.DATABASE)


def database_part(server: PostgresServer) -> Part:
    """Describe the embedded PostgreSQL, which is created on first use."""
    server.prepare()
    url = server.url("postgres")
    return Part(
        name="postgres",
        program=server.program,
        is_ready=lambda: postgres.is_ready(url),
        stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, data is written
        stop_s=SERVER_STOP_S,
    )


def _cache_part(server: ValkeyServer) -> Part:
    server.prepare()
    program = server.program()
    url = server.url()
    return Part(
        name="valkey", program=lambda: always(program), is_ready=lambda: valkey.is_ready(url), stop_s=SERVER_STOP_S
    )


def _shop_part(shop: Simulation, folder: DataFolder) -> Part:
    program = Program(
        argv=own_command("stripe-simulation", "--port", str(shop.port), "--state", str(folder.path / "stripe.json")),
        environment={"STRIPE_WEBHOOK_SECRET": shop.webhook_secret, "STRIPE_WEBHOOK_URL": shop.webhook_url},
    )
    return Part(
        name="stripe", program=lambda: always(program), is_ready=lambda: _answers(shop.url), stop_s=SERVER_STOP_S
    )


def _service(
    name: str, settings: dict[str, str], is_ready: Callable[[], bool], *, stop_s: float, options: Sequence[str] = ()
) -> Part:
    program = Program(argv=own_command(name, *options), environment=settings)
    return Part(name=name, program=lambda: always(program), is_ready=is_ready, stop_s=stop_s)


def own_command(*arguments: str) -> tuple[str, ...]:
    """Return the command line of one of our processes."""
    return (sys.executable, "-P", "-m", "cli.main", *arguments)


def _answers(url: str) -> bool:
    """Return whether one of our addresses answers with success, without proxies of the environment."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, HTTPException):
        return False


def _reachable(host: str) -> str:
    """Return the address to connect to for an address to listen on."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound
        return HOST
    return f"[{host}]" if ":" in host else host
