"""What happens to orders by the clock."""

from uuid import UUID

from shipcrowd.kernel.jobs import job
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders import privacy


@job()
async def forget_buyers(company_id: UUID, after: str | None = None) -> None:
    """One step of forgetting a company's buyers by age; the next is enqueued with it, so that a stop loses nothing."""
    async with acting_for(company_id) as session:
        _, following = await privacy.redact_old(session, after=after)
        if following is not None:
            await forget_buyers.enqueue(session, company_id=company_id, after=following)
