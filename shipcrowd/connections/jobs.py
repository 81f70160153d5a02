"""What connections do by the clock."""

from shipcrowd.connections import service
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.jobs import job


@job()
async def forget() -> None:
    """Daily: what closed accounts and abandoned sign-ins left behind."""
    async with tenancy.acting_for_platform(why="forget closed connections") as session:
        await service.forget_closed(session)
        await service.forget_stale_sign_ins(session)
