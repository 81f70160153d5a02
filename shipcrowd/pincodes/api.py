"""Looking a pincode up over HTTP."""

from typing import Annotated

from fastapi import APIRouter

from shipcrowd.identity.api import May, Member
from shipcrowd.kernel.tenancy import unowned
from shipcrowd.pincodes import service
from shipcrowd.pincodes.schemas import PincodeOut
from shipcrowd.pincodes.states import BY_CODE

router = APIRouter(prefix="/pincodes", tags=["pincodes"])


@router.get("/{pincode}")
async def pincode(pincode: str, who: Annotated[Member, May("pincodes:read")]) -> PincodeOut:
    """Where a pincode is. 404 when it is not in use."""
    async with unowned() as session:
        place = await service.place(session, pincode)
    if place is None:
        raise service.UnknownPincode(f"{pincode[:20]} is not a pincode in use", field="pincode")
    state = BY_CODE[place.state]
    return PincodeOut(**place.model_dump(), state_name=state.name, gst_state=state.gst)
