"""The blows of a storm, in an order that a seed decides. Each mends what it broke, except a frozen worker's sleep."""

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Callable

import psutil
import structlog
from support.chaos.scratch import forbid_files, full
from support.chaos.site import Pulse, Site, kill_postgres
from support.servers.fleet import children, family, fork_servers, wait_for
from support.servers.processes import all_gone

from workers.queue.leadership import LEASE_S

DEATH_S = 20.0
"""How long a killed worker's children may take to follow it: a moment, on a machine that has one to spare."""
WAKES_AFTER_S = LEASE_S + 3.0
"""How long a dispatcher sleeps at least: past its lease and a standby's look."""
FULL_S = 10.0
"""How long a disk stays full that nobody wants to write on."""
HELD = (
    "SELECT jobs.id FROM jobs JOIN workers ON workers.id = jobs.worker_id "
    "WHERE jobs.state = 'running' AND workers.pid = %(pid)s"
)
ENDED = "SELECT count(*) AS n FROM job_events"

log = structlog.get_logger(__name__)


class Storm:
    """Strikes a site. Which blow comes when, whom it hits and how long it lasts are the dice's."""

    def __init__(self, site: Site, pulse: Pulse, *, seed: int, has_small_disk: bool) -> None:
        self._dice = random.Random(f"{seed}-storm")  # noqa: S311 - a seed that replays, no secret
        self._site = site
        self._pulse = pulse
        self._has_small_disk = has_small_disk
        self._sleeper: subprocess.Popen[bytes] | None = None
        self._sleeping_leader: subprocess.Popen[bytes] | None = None
        self._slept_from_s = 0.0
        self._is_over: Callable[[], bool] = lambda: False
        self.struck: list[str] = []
        self._blows: list[Callable[[], None]] = [
            self.kill_worker,
            self.kill_child,
            self.kill_fork_server,
            self.kill_dispatcher,
            self.kill_api,
            self.kill_valkey,
            self.kill_postgres,
            self.kill_swift,
            self.freeze_worker,
            self.freeze_dispatcher,
            self.fill_scratch,
            self.cut_postgres,
            self.cut_valkey,
            self.stall_postgres,
            self.cut_swift,
            self.drain_worker,
        ]

    def rage(self, rounds: int, *, is_over: Callable[[], bool]) -> None:
        """Strike every blow once a round, each after something has got done since the last."""
        self._is_over = is_over
        for _ in range(rounds):
            self._dice.shuffle(self._blows)
            for blow in self._blows:
                self._let_work(self._dice.randint(4, 16))
                log.info("blow", name=blow.__name__)
                self.struck.append(blow.__name__)
                blow()
                self._thaw_if_missed()

    def calm(self) -> None:
        """Let the frozen wake up, once their work is with others."""
        while self._sleeper is not None or self._sleeping_leader is not None:
            self._pulse.feel()
            self._thaw_if_missed()
            time.sleep(0.1)

    def kill_worker(self) -> None:
        victim = self._awake_worker()
        orphans = family(victim)
        self._kill(victim)
        wait_for(lambda: all_gone(orphans), timeout_s=DEATH_S, what="the death of a killed worker's children")

    def kill_child(self) -> None:
        found = self._pulse.wait(lambda: self._media() or self._is_over(), "a media child")
        if found is not True:
            victim = self._dice.choice(sorted(found, key=lambda child: child.pid))
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                log.info("blow_missed")

    def kill_fork_server(self) -> None:
        self._pulse.wait(lambda: self._media() or self._is_over(), "a media child")
        for server in fork_servers(psutil.Process(self._awake_worker().pid)):
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()

    def kill_dispatcher(self) -> None:
        victim = self._dice.choice(self._site.dispatchers)
        if victim is self._sleeping_leader:
            self._sleeping_leader = None
        self._kill(victim)

    def kill_api(self) -> None:
        self._kill(self._dice.choice(list(self._site.apis.values())))

    def kill_valkey(self) -> None:
        self._site.servers.kill("valkey")
        if self._dice.random() < 0.5:
            self._site.servers.forget_valkey()
        self._pause()
        self._site.servers.start_valkey()

    def kill_postgres(self) -> None:
        kill_postgres(self._site)
        self._pause()
        self._site.servers.start_postgres()

    def kill_swift(self) -> None:
        self._site.swift.kill()
        self._pause()
        self._site.swift.start()

    def freeze_worker(self) -> None:
        if self._sleeper is None:
            self._pulse.wait(lambda: self._media() or self._is_over(), "a media child")
            self._sleeper = self._awake_worker()
            self._sleeper.send_signal(signal.SIGSTOP)

    def freeze_dispatcher(self) -> None:
        if self._sleeping_leader is None:
            self._pulse.wait(self._leaders, "a dispatcher that leads")
            self._sleeping_leader = self._dice.choice(self._leaders() or self._site.dispatchers)
            self._sleeping_leader.send_signal(signal.SIGSTOP)
            self._slept_from_s = time.monotonic()

    def fill_scratch(self) -> None:
        if not self._has_small_disk:
            forbid_files(self._site.media_processes())
            return
        with full(self._site.scratch):
            began_s = time.monotonic()
            begin = self._count() or 0
            self._pulse.wait(
                lambda: self._is_over() or (self._count() or 0) >= begin + 4 or time.monotonic() - began_s > FULL_S,
                "work on a full disk",
            )

    def cut_postgres(self) -> None:
        with self._site.postgres_proxy.away():
            self._pause()

    def cut_valkey(self) -> None:
        with self._site.valkey_proxy.away():
            self._pause()

    def stall_postgres(self) -> None:
        with self._site.postgres_proxy.stalled():
            self._pause()

    def cut_swift(self) -> None:
        self._site.swift_proxy.cut()

    def drain_worker(self) -> None:
        """A rolling restart that is in a hurry."""
        victim = self._awake_worker()
        self._site.struck.add(victim.pid)
        victim.terminate()
        time.sleep(0.2)
        victim.terminate()
        victim.wait()
        self._site.replace(victim)

    def _let_work(self, events: int) -> None:
        """Wait until so many things have happened to jobs; not in vain, when all is done already."""
        begin = self._count() or 0
        self._pulse.wait(lambda: self._is_over() or (self._count() or 0) >= begin + events, "work between two blows")

    def _count(self) -> int | None:
        found = self._site.rows(ENDED)
        return None if found is None else found[0]["n"]

    def _kill(self, victim: subprocess.Popen[bytes]) -> None:
        self._site.struck.add(victim.pid)
        victim.kill()
        victim.wait()
        self._pause()
        self._site.replace(victim)

    def _media(self) -> list[psutil.Process]:
        return [child for worker in self._site.workers if worker is not self._sleeper for child in children(worker)]

    def _awake_worker(self) -> subprocess.Popen[bytes]:
        """One that is at work, where there is one."""
        awake = [worker for worker in self._site.workers if worker is not self._sleeper and worker.poll() is None]
        busy = [worker for worker in awake if children(worker)]
        return self._dice.choice(busy or awake)

    def _thaw_if_missed(self) -> None:
        """A worker is woken when the last of its jobs has been given to another, a dispatcher when another leads."""
        if self._sleeper is not None and self._site.rows(HELD, pid=self._sleeper.pid) == []:
            self._sleeper.send_signal(signal.SIGCONT)
            self._sleeper = None
        slept_s = time.monotonic() - self._slept_from_s
        if self._sleeping_leader is not None and slept_s > WAKES_AFTER_S and self._leaders():
            self._sleeping_leader.send_signal(signal.SIGCONT)
            self._sleeping_leader = None

    def _leaders(self) -> list[subprocess.Popen[bytes]]:
        """Those awake that say that they lead. One may not have noticed yet that it no longer does."""
        awake = [process for process in self._site.dispatchers if process is not self._sleeping_leader]
        logs = {process: self._site.fleet.log_of(process) for process in awake}
        return [
            process for process, log in logs.items() if log.rfind("dispatcher_active") > log.rfind("dispatcher_interr")
        ]

    def _pause(self) -> None:
        time.sleep(self._dice.uniform(0.2, 2.0))
