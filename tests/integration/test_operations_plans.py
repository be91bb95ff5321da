"""Operators' queries use indexes, so that they stay fast at a million rows."""

import itertools
import json
from typing import Any
from uuid import UUID

import psycopg

from db import operations as rows
from db.operations import CONDITIONS, JobFilter
from services.jobs.fairness import SYSTEM

FILL = """
INSERT INTO users (id, email) SELECT gen_random_uuid(), 'u' || n || '@example.org' FROM generate_series(1, 200) AS n;
INSERT INTO jobs (user_id, kind, queue, state, error, created_at, run_at, finished_at, started_at)
SELECT (array(SELECT id FROM users))[1 + n % 200], (array['render', 'render', 'ingest', 'detect'])[1 + n % 4],
    (array['render', 'render', 'ingest', 'detect'])[1 + n % 4],
    (array['succeeded', 'succeeded', 'succeeded', 'failed', 'cancelled'])[1 + n % 5],
    CASE WHEN n % 5 = 3 THEN jsonb_build_object('code', 'code_' || n % 50, 'message', 'word' || n % 1000) END,
    now() - n * interval '1 second', now() - n * interval '1 second', now() - n * interval '1 second', now()
FROM generate_series(1, 60000) AS n;
INSERT INTO jobs (user_id, kind, queue) SELECT id, 'render', 'render' FROM users;
ANALYZE;
"""
VALUES: dict[str, Any] = {
    "user_id": UUID(int=1),
    "email": "u1@example.org",
    "queue": "render",
    "kind": "detect",
    "state": "failed",
    "error_code": "code_3",
    "recording_id": UUID(int=1),
    "clip_id": UUID(int=1),
    "text": "word77",
    "ids": [UUID(int=1)],
}


def plan_of(connection: psycopg.Connection[Any], statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    row = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}", values).fetchone()
    assert row is not None
    return nodes(row[0][0]["Plan"] if not isinstance(row[0], str) else json.loads(row[0])[0]["Plan"])


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *itertools.chain.from_iterable(nodes(child) for child in plan.get("Plans", []))]


def reads_all_of_jobs(plan: list[dict[str, Any]]) -> bool:
    return any(node["Node Type"] == "Seq Scan" and node.get("Relation Name") == "jobs" for node in plan)


def test_no_look_reads_all_jobs(owner_url: str) -> None:
    page = {"before": "infinity", "before_id": UUID(int=2**128 - 1), "limit": 50}
    with psycopg.connect(owner_url) as connection:
        connection.execute(FILL)
        pairs = list(itertools.combinations(VALUES, 2)) + [(name,) for name in VALUES]
        for names in pairs:
            wanted = JobFilter(**{name: VALUES[name] for name in names})
            statement, given = rows.filtered("search", wanted)
            assert not reads_all_of_jobs(plan_of(connection, statement, {**given, **page})), names
            statement, given = rows.filtered("lock", wanted)
            if names != ("queue",):  # half of all jobs: nothing is quicker than reading them
                assert not reads_all_of_jobs(plan_of(connection, statement, {**given, "limit": 100})), names
        for statement, values in (
            (rows.LIST_WORKERS, {}),
            (rows.LIST_TENANTS, {"system": SYSTEM, "limit": 100}),
            (rows.filtered("search", JobFilter())[0], page),
            (rows.LIST_ERRORS, {"back_s": 3600, "most": rows.ERROR_JOBS, "limit": 50}),
            (rows.LIST_TIMES, {"back_s": 3600, "most": rows.TIMED_JOBS}),
        ):
            assert not reads_all_of_jobs(plan_of(connection, statement, values)), statement


def test_every_condition_of_a_filter_fits_the_schema(owner_url: str) -> None:
    everything = JobFilter(**VALUES, created_after="2020-01-01", created_before="2030-01-01", is_system=False)  # type: ignore[arg-type]
    with psycopg.connect(owner_url) as connection:
        for template in ("search", "count", "lock"):
            statement, given = rows.filtered(template, everything)
            assert given.keys() == CONDITIONS.keys()
            page = {"before": "infinity", "before_id": UUID(int=0), "limit": 1}
            connection.execute(statement, {**given, **page})
