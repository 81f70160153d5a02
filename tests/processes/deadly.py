"""A worker of the product with one job more, which kills it: what an out-of-memory kill looks like from outside."""

import asyncio
import os
import signal
from uuid import UUID

from shipcrowd import process, worker
from shipcrowd.kernel import jobs
from shipcrowd.settings import settings

NAME = "tests.deadly"


async def deadly(company_id: UUID) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    # Registered here and not on import: a test process that reads NAME has no such job.
    jobs.job(name=NAME)(deadly)
    config = settings()
    process.configure(config)
    asyncio.run(worker.run(config, process.app_url(config)))


if __name__ == "__main__":
    main()
