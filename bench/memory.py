"""Resident memory of an idle serving process and an idle worker, beside a FastAPI application that does nothing."""

import asyncio
import time
from pathlib import Path

from bench import load
from bench.ground import Ground
from bench.rows import Row
from shipcrowd import wiring
from shipcrowd.kernel import db, tenancy

TARGET = 200
"""MB a process."""

SETTLE_SECONDS = 2.0
WORKER_SECONDS = 60


def bench(ground: Ground) -> list[Row]:
    """After the start and one request, or one job."""
    url = ground.database("memory")
    with ground.serving("memory-bare", url, baseline=True) as bare:
        asyncio.run(_ask(bare.port, "/health/live"))
        nothing = _resident(bare.pid)
    with ground.serving("memory-serve", url) as serving:
        asyncio.run(_ask(serving.port, "/health/ready"))
        serve = _resident(serving.pid)
    with ground.running("memory-worker", url, "shipcrowd", "worker") as working:
        asyncio.run(_one_job(ground, url))
        worker = _resident(working.pid)
    return [
        Row("memory: serve, idle", serve, nothing, "MB", target=TARGET, smaller=True),
        Row("memory: worker, idle", worker, nothing, "MB", target=TARGET, smaller=True),
    ]


def _resident(pid: int) -> float:
    time.sleep(SETTLE_SECONDS)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("this system does not tell a process's resident memory")


async def _ask(port: int, path: str) -> None:
    connection = await load.connect(port)
    await connection.ask(load.request("GET", path))
    connection.close()


async def _one_job(ground: Ground, url: str) -> None:
    async with ground.product(url), asyncio.timeout(WORKER_SECONDS):
        async with tenancy.unowned() as session:
            await wiring.tidy_up.enqueue(session)
        while True:
            async with tenancy.unowned() as session:
                waiting = "SELECT EXISTS (SELECT FROM pgqueuer WHERE entrypoint = 'wiring.tidy_up')"
                if not await (await db.driver(session)).fetchval(waiting):
                    return
            await asyncio.sleep(0.1)
