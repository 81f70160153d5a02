"""A worker of the product with one job more, which kills it, and a supervisor that starts the worker again each time.

What an out-of-memory kill looks like from outside. The workers are forked, so that a death costs no new start.
"""

import asyncio
import os
import signal
import sys
from uuid import UUID

from shipcrowd import process, worker
from shipcrowd.kernel import jobs
from shipcrowd.settings import settings

NAME = "tests.deadly"
DEATHS_ALLOWED = 10


async def deadly(company_id: UUID) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def work(supervisor: int) -> None:
    """A worker that ends with its supervisor, however that ends."""
    config = settings()
    stop = asyncio.Event()
    working = asyncio.create_task(worker.run(config, process.app_url(config), stop))
    while os.getppid() == supervisor and not working.done():
        await asyncio.sleep(0.2)
    stop.set()
    await working


def supervise() -> None:
    """Start workers until one ends by itself; say of each how it ended."""
    for _ in range(DEATHS_ALLOWED):
        supervisor = os.getpid()
        child = os.fork()
        if child == 0:
            asyncio.run(work(supervisor))
            os._exit(0)
        print("started", flush=True)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))
        print(f"killed by {signal.Signals(os.WTERMSIG(status)).name}", flush=True)
    sys.exit("workers keep dying")


def main() -> None:
    # Registered here and not on import: a test process that reads NAME has no such job.
    jobs.job(name=NAME)(deadly)
    process.configure(settings())
    supervise()


if __name__ == "__main__":
    main()
