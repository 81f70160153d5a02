"""The worker process: runs jobs, and the clock's schedules (one leader among all workers fires each)."""

import asyncio
import signal
from datetime import timedelta

import structlog

from shipcrowd import process, wiring
from shipcrowd.channels import listening
from shipcrowd.kernel import jobs
from shipcrowd.settings import Settings

log = structlog.get_logger(__name__)


async def run(config: Settings, url: str, stop: asyncio.Event | None = None) -> None:
    """Work until SIGTERM or SIGINT, then finish the running jobs. A lost database connection is tried again."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with process.ready(config, url):
        log.info("worker started", concurrency=config.worker_concurrency)
        listener = asyncio.create_task(listening.listen(stop))
        # It ends by itself only when something is wrong with it: the process ends as well, and says what.
        listener.add_done_callback(lambda _: stop.set())
        wait = 1.0
        while not stop.is_set():
            try:
                await jobs.work(
                    url,
                    stop=stop,
                    schedules=wiring.SCHEDULES,
                    concurrency=config.worker_concurrency,
                    heartbeat=timedelta(seconds=config.job_heartbeat_seconds),
                )
                wait = 1.0
            except (OSError, *jobs.QUEUE_ERRORS) as error:
                log.exception("the queue went away; trying again", seconds=wait, error=str(error))
                await asyncio.wait([asyncio.create_task(stop.wait())], timeout=wait)
                wait = min(wait * 2, 30)
        await listener
    log.info("worker stopped")
