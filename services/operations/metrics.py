"""Prometheus metrics of the whole system, read from PostgreSQL, so that every process of a fleet shows the same.

Scrape one API process, or use `max by (…)` over all; only `snuggles_http_*` counts a single process.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import structlog
from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from db import dispatch
from db import metrics as rows
from db import totals as total_rows
from db.connection import SERVICE, Database, DatabaseUnavailableError, Transaction
from db.metrics import OwnerLoad, QueueDemand, QueueDepth, RoomLoad, WebhookLoad, Workers
from services.jobs.dispatch import DISPATCHER_LOCK, WINDOW, WORKER_SILENT_S
from services.jobs.fairness import SYSTEM, SYSTEM_SHARE, default_share, share_of_limits
from services.jobs.service import QUEUES
from services.operations import business, totals
from services.operations.totals import BUCKETS_S, LOST_LEASE_CODE, EventTotal, JobTotal

CACHE_S = 5.0
"""How long a snapshot is reused, so that frequent scrapes cost few queries."""
FIGURES_CACHE_S = 60.0
"""The figures of the business read whole tables, and change slowly."""
TOP_OWNERS = 10

log = structlog.get_logger(__name__)


class Snapshot(Struct, frozen=True, kw_only=True):
    """The state of the whole system at one time."""

    depths: Sequence[QueueDepth]
    demands: Sequence[QueueDemand]
    slots: dict[str, int]
    paused: Sequence[str]
    workers: Workers
    has_dispatcher: bool
    owners: Sequence[OwnerLoad]
    webhooks: WebhookLoad
    rooms: RoomLoad
    job_totals: Sequence[JobTotal]
    event_totals: Sequence[EventTotal]


class SystemMetrics(Collector):
    """A collector for a Prometheus registry. Thread-safe: one thread queries the database, the others wait."""

    def __init__(
        self,
        database: Database,
        *,
        cache_s: float = CACHE_S,
        figures_cache_s: float = FIGURES_CACHE_S,
        settle_s: float = totals.SETTLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._cache_s = cache_s
        self._figures_cache_s = figures_cache_s
        self._settle_s = settle_s
        self._clock = clock
        self._lock = threading.Lock()
        self._cached: list[Metric] = []
        self._until_s = float("-inf")
        self._figures: list[Metric] = []
        self._figures_until_s = float("-inf")

    def describe(self) -> Iterable[Metric]:
        """Return nothing, because registration must not query the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, a few seconds old at most; without a database, only the one that says so."""
        with self._lock:
            now_s = self._clock()
            if now_s >= self._until_s:
                self._cached = self._collect(now_s)
                self._until_s = self._clock() + self._cache_s
            return self._cached

    def _collect(self, now_s: float) -> list[Metric]:
        try:
            with self._database.transaction(SERVICE) as tx:
                totals.count(tx, settle_s=self._settle_s)
            with self._database.transaction(SERVICE) as tx:
                found = look(tx)
                if now_s >= self._figures_until_s:
                    self._figures = list(business.metrics(business.figures(tx)))
                    self._figures_until_s = now_s + self._figures_cache_s
        except DatabaseUnavailableError as error:
            log.warning("metrics_not_read", error=str(error))
            return [GaugeMetricFamily("snuggles_database_up", "Whether PostgreSQL answered", value=0)]
        return [
            GaugeMetricFamily("snuggles_database_up", "Whether PostgreSQL answered", value=1),
            *queue_metrics(found),
            *fleet_metrics(found),
            *job_metrics(found.job_totals, found.event_totals),
            *webhook_metrics(found.webhooks),
            *room_metrics(found.rooms),
            *self._figures,
        ]


def look(tx: Transaction) -> Snapshot:
    """Read a snapshot (service transaction)."""
    return Snapshot(
        depths=rows.list_depths(tx),
        demands=rows.list_demands(
            tx,
            caps={tier: share_of_limits(tier, limits).cap for tier, limits in dispatch.list_tier_limits(tx).items()},
            default_cap=default_share("free").cap,
            system=SYSTEM,
            system_cap=SYSTEM_SHARE.cap,
        ),
        slots=dispatch.count_slots(tx, silent_s=WORKER_SILENT_S),
        paused=rows.list_paused(tx),
        workers=rows.count_workers(tx, silent_s=WORKER_SILENT_S),
        has_dispatcher=rows.is_lock_held(tx, DISPATCHER_LOCK),
        owners=rows.list_top_owners(tx, limit=TOP_OWNERS),
        webhooks=rows.count_webhooks(tx),
        rooms=rows.count_rooms(tx),
        job_totals=total_rows.list_job_totals(tx),
        event_totals=total_rows.list_event_totals(tx),
    )


def queue_metrics(found: Snapshot) -> list[Metric]:
    """Return the load of the queues, and how many slots they could use."""
    depth = GaugeMetricFamily("snuggles_queue_depth", "Jobs that have not ended", labels=["queue", "state"])
    oldest = GaugeMetricFamily("snuggles_queue_oldest_seconds", "Age of the oldest job that is due", labels=["queue"])
    needed = GaugeMetricFamily(
        "snuggles_slots_needed", "Slots that owners' running and due jobs could fill now", labels=["queue"]
    )
    slots = GaugeMetricFamily("snuggles_slots", "Slots of live workers that take from the queue", labels=["queue"])
    paused = GaugeMetricFamily("snuggles_queue_paused", "Whether an operator has paused the queue", labels=["queue"])
    lag = GaugeMetricFamily(
        "snuggles_dispatcher_lag_seconds", "How long the oldest job has been due while a slot is free", labels=["queue"]
    )
    depths = {row.queue: row for row in found.depths}
    demands = {row.queue: row for row in found.demands}
    for queue in QUEUES:
        row, demand = depths.get(queue), demands.get(queue)
        for state in ("due", "scheduled", "sent", "running"):
            depth.add_metric([queue, state], getattr(row, state) if row else 0)
        oldest.add_metric([queue], row.oldest_s if row else 0)
        needed.add_metric([queue], demand.slots_needed if demand else 0)
        slots.add_metric([queue], found.slots.get(queue, 0))
        paused.add_metric([queue], queue in found.paused)
        in_flight = row.sent + row.running if row else 0
        has_room = in_flight < WINDOW * found.slots.get(queue, 0)
        lag.add_metric([queue], demand.sendable_s if demand and has_room else 0)
    return [depth, oldest, needed, slots, paused, lag]


def fleet_metrics(found: Snapshot) -> list[Metric]:
    """Return the live processes, and the owners with most jobs."""
    workers = GaugeMetricFamily("snuggles_workers", "Worker processes", labels=["state"])
    for state in ("active", "draining", "silent"):
        workers.add_metric([state], getattr(found.workers, state))
    owners = GaugeMetricFamily(
        "snuggles_owner_open_jobs", f"Open jobs of the {TOP_OWNERS} owners with most", labels=["owner"]
    )
    for load in found.owners:
        owners.add_metric(["system" if load.owner_key == SYSTEM else str(load.owner_key)], load.jobs)
    return [
        workers,
        GaugeMetricFamily(
            "snuggles_workers_memory_bytes",
            "Memory of live workers with their media children",
            value=found.workers.memory_bytes,
        ),
        GaugeMetricFamily(
            "snuggles_dispatcher_active", "Whether a dispatcher is active", value=float(found.has_dispatcher)
        ),
        owners,
    ]


def job_metrics(ended: Sequence[JobTotal], happened: Sequence[EventTotal]) -> list[Metric]:
    """Return totals of ended jobs."""
    outcomes = CounterMetricFamily("snuggles_jobs", "Jobs that have ended", labels=["queue", "kind", "outcome", "code"])
    media: dict[str, float] = {}
    for total in ended:
        outcomes.add_metric([total.queue, total.kind, total.outcome, total.code], total.jobs)
        if total.media_s:
            media[total.kind] = media.get(total.kind, 0.0) + total.media_s
    seconds = CounterMetricFamily("snuggles_media_seconds", "Seconds of media read or made", labels=["kind"])
    for kind, value in sorted(media.items()):
        seconds.add_metric([kind], value)
    wait = HistogramMetricFamily(
        "snuggles_job_wait_seconds", "Time from when a job was due to the start of its last attempt", labels=["queue"]
    )
    for queue, group in _grouped(ended, lambda total: total.queue):
        wait.add_metric([queue], _buckets(total.wait_counts for total in group), sum(total.wait_s for total in group))
    run = HistogramMetricFamily("snuggles_job_run_seconds", "Run time of a job's last attempt", labels=["kind"])
    for kind, group in _grouped(ended, lambda total: total.kind):
        run.add_metric([kind], _buckets(total.run_counts for total in group), sum(total.run_s for total in group))
    return [outcomes, seconds, wait, run, *_event_metrics(happened)]


def webhook_metrics(load: WebhookLoad) -> list[Metric]:
    """Return the state of webhooks and their deliveries."""
    webhooks = GaugeMetricFamily("snuggles_webhooks", "Webhooks; failing ones are enabled too", labels=["state"])
    for state in ("enabled", "disabled", "failing"):
        webhooks.add_metric([state], getattr(load, state))
    return [
        webhooks,
        GaugeMetricFamily("snuggles_webhook_deliveries_pending", "Deliveries that have not ended", value=load.pending),
        GaugeMetricFamily(
            "snuggles_webhook_oldest_pending_seconds",
            "Age of the oldest delivery that has not ended",
            value=load.oldest_s,
        ),
    ]


def room_metrics(load: RoomLoad) -> list[Metric]:
    """Return the open rooms, their people and their polls."""
    rooms = GaugeMetricFamily("snuggles_rooms", "Rooms; recording ones are open too", labels=["state"])
    for state in ("open", "recording"):
        rooms.add_metric([state], getattr(load, state))
    return [
        rooms,
        GaugeMetricFamily("snuggles_room_participants", "People in open rooms", value=load.people),
        GaugeMetricFamily("snuggles_polls_open", "Polls that take votes", value=load.polls),
        GaugeMetricFamily("snuggles_rooms_opened_day", "Rooms opened in 24 hours", value=load.opened_day),
    ]


def _event_metrics(happened: Sequence[EventTotal]) -> list[Metric]:
    retries = CounterMetricFamily("snuggles_job_retries", "Attempts that were postponed", labels=["queue", "code"])
    handed_back = CounterMetricFamily(
        "snuggles_jobs_handed_back", "Jobs that a leaving worker returned", labels=["queue"]
    )
    losses: dict[str, int] = dict.fromkeys(QUEUES, 0)
    for total in happened:
        if total.event == "retry_scheduled":
            retries.add_metric([total.queue, total.code], total.total)
        if total.event == "handed_back":
            handed_back.add_metric([total.queue], total.total)
        if total.code == LOST_LEASE_CODE:
            losses[total.queue] = losses.get(total.queue, 0) + total.total
    lost = CounterMetricFamily("snuggles_lease_losses", "Attempts whose worker fell silent", labels=["queue"])
    for queue, value in losses.items():
        lost.add_metric([queue], value)
    return [retries, handed_back, lost]


def _grouped(ended: Sequence[JobTotal], key: Callable[[JobTotal], str]) -> list[tuple[str, list[JobTotal]]]:
    groups: dict[str, list[JobTotal]] = {}
    for total in ended:
        groups.setdefault(key(total), []).append(total)
    return sorted(groups.items())


def _buckets(counts: Iterable[Sequence[int]]) -> list[tuple[str, float]]:
    """Return cumulative buckets, as Prometheus expects."""
    bounds = [*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"]
    sums = [sum(column) for column in zip(*counts, strict=True)]
    return [(bound, float(sum(sums[: place + 1]))) for place, bound in enumerate(bounds)]
