"""The bell: Dramatiq on Redis (or RabbitMQ), which carries `(job_id, dispatch_no)` and nothing else."""

import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import dramatiq
import redis
from dramatiq import Broker, Message
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker

from services.jobs.service import QUEUES
from services.process.settings import SettingsError
from workers.queue.consumer import BellConsumer
from workers.queue.drain import Drain
from workers.queue.heartbeat import Heartbeat
from workers.queue.listen import Listen
from workers.queue.notifier import Bell
from workers.queue.outage import Outage
from workers.queue.slots import SlotLimit

NAMESPACE = "snuggles"
CHANNEL = f"{NAMESPACE}:bell"
IDLE_POLL_MS = 100
"""The longest pause between two looks at an empty queue for which no bell has rung, or whose ring was lost."""
REDIS_TIMEOUT_S = 5.0
HEALTH_CHECK_S = 10.0
RABBITMQ_BLOCKED_S = 5.0
"""How long a broker that is short of memory or disk may keep us waiting: less than a silent dispatcher's lease."""


class BellBroker(RedisBroker):
    """Dramatiq's Redis broker without delayed queues: `run_at` is a column, and their consumers only cost polls."""

    def __init__(self, *, slots: SlotLimit, bell: Bell, outage: Outage, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.slots = slots
        self.bell = bell
        self.outage = outage

    @property
    def consumer_class(self) -> type[Consumer]:
        """Return the consumer that respects the slot limit and waits for the bell."""
        return BellConsumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue once."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def close(self) -> None:
        """Close the connections to Redis: Dramatiq leaves that to the end of the process."""
        super().close()
        self.client.connection_pool.disconnect()

    def send(self, messages: Sequence[Message[Any]]) -> None:
        """Put messages into their queues and ring, all or nothing, in one exchange with Redis.

        Lays them down as the `enqueue` of Dramatiq's dispatch.lua does: text in a hash, id in a list.
        """
        with self.client.pipeline(transaction=True) as exchange:
            for queue, group in groupby(messages, key=lambda one: one.queue_name):
                texts: dict[Any, Any] = {one.message_id: _addressed(one).encode() for one in group}
                exchange.hset(f"{self.namespace}:{queue}.msgs", mapping=texts)
                exchange.rpush(f"{self.namespace}:{queue}", *texts)
                exchange.publish(CHANNEL, queue)
            exchange.execute()

    def list_waiting(self, queue: str) -> set[str]:
        """Return the ids of the messages that no worker has fetched yet."""
        names: Any = self.client.lrange(f"{self.namespace}:{queue}", 0, -1)
        return {name.decode() for name in names}


def open_broker(url: str, *, slots: SlotLimit, connections: int = 8) -> Broker:
    """Return the broker for a redis:// or amqp:// URL; asks nothing of the server yet.

    SettingsError when the URL is neither, or the client library for RabbitMQ is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            # Whoever only listens learns in no other way that the other end has vanished.
            health_check_interval=HEALTH_CHECK_S,
        )
        client, bell, outage = redis.Redis(connection_pool=pool), Bell(), Outage()
        middleware = [Heartbeat(outage), Listen(client, CHANNEL, bell, outage), Drain(slots)]
        return BellBroker(
            slots=slots, bell=bell, outage=outage, client=client, middleware=middleware, namespace=NAMESPACE
        )
    if scheme in ("amqp", "amqps"):
        return _open_rabbitmq(url, [Drain(slots)])
    raise SettingsError("BROKER_URL must begin with redis://, rediss:// or amqp://")


def _open_rabbitmq(url: str, middleware: list[dramatiq.Middleware]) -> Broker:
    try:
        from dramatiq.brokers.rabbitmq import RabbitmqBroker
    except ImportError as error:
        raise SettingsError(
            "BROKER_URL points to RabbitMQ; install its client: pip install 'big-snuggles[rabbitmq]'"
        ) from error
    # It logs each lost connection with all its insides; who uses the connection says so in a line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    # Unconfirmed, a message that is written to a connection which the broker has closed is lost without a word.
    broker = RabbitmqBroker(url=url, middleware=middleware, confirm_delivery=True)
    for parameters in broker.parameters if isinstance(broker.parameters, list) else [broker.parameters]:
        parameters.blocked_connection_timeout = RABBITMQ_BLOCKED_S
    return broker


def message(*, queue: str, job_id: UUID, dispatch_no: int) -> Message[Any]:
    """Return what rings for a job; the actor of a queue carries its name."""
    return Message(
        queue_name=queue,
        actor_name=queue,
        args=(str(job_id), dispatch_no),
        kwargs={},
        options={},
        message_id=message_id(job_id, dispatch_no),
    )


def message_id(job_id: UUID, dispatch_no: int) -> str:
    """Return the id of the message that was sent for a job under this number."""
    return f"{job_id}/{dispatch_no}"


def send(broker: Broker, messages: Sequence[Message[Any]]) -> None:
    """Send messages in this order; RedisError, or Dramatiq's ConnectionError, when some or all were not sent."""
    if isinstance(broker, BellBroker):
        broker.send(messages)
        return
    for one in messages:
        broker.enqueue(one)


def list_waiting(broker: Broker, queue: str) -> set[str]:
    """Return the ids of the messages that no worker has fetched yet; none where the broker cannot say. RedisError."""
    return broker.list_waiting(queue) if isinstance(broker, BellBroker) else set()


def _addressed(one: Message[Any]) -> Message[Any]:
    """Return the message with the name under which Redis keeps it."""
    return one.copy(options={"redis_message_id": one.message_id})


def declare_queues(broker: Broker) -> None:
    """Declare every queue, as a process that only sends must."""
    for queue in QUEUES:
        broker.declare_queue(queue)
