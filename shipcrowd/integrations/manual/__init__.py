"""The manual courier: for parcels the seller hands to a courier we do not talk to, with an AWB typed by hand."""

from pydantic import BaseModel, ConfigDict

from shipcrowd.couriers.contract import CourierVendor
from shipcrowd.integrations.manual.courier import ManualCourier, typed

__all__ = ["ManualCredentials", "typed", "vendor"]


class ManualCredentials(BaseModel):
    """There is nothing to sign in to."""

    model_config = ConfigDict(frozen=True)


vendor = CourierVendor(
    slug="manual",
    name="Own courier",
    credentials=ManualCredentials,
    open=ManualCourier,
    carries_charge=False,
    tracked=False,
)
