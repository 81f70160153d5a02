"""The ledger's work by the clock."""

import structlog
from prometheus_client import Gauge

from shipcrowd.kernel.jobs import job
from shipcrowd.ledger import invariants
from shipcrowd.ledger.schemas import Fault

log = structlog.get_logger(__name__)

DISCREPANCIES = Gauge("shipcrowd_ledger_discrepancies", "Faults found in the books at the last check", ["fault"])


@job(seconds=1800.0, concurrency=1)
async def check_invariants() -> None:
    """Look whether every book adds up, and say loudly when one does not."""
    found = await invariants.verify_all()
    for fault in Fault:
        DISCREPANCIES.labels(fault.value).set(sum(each.fault is fault for each in found))
    for each in found:
        log.error(
            "a book does not add up",
            fault=each.fault.value,
            company_id=str(each.company_id),
            subject=each.subject,
            stored_paise=each.stored.paise if each.stored is not None else None,
            recomputed_paise=each.recomputed.paise if each.recomputed is not None else None,
        )
