"""Where a pincode is."""

from pydantic import BaseModel, ConfigDict

from shipcrowd.pincodes.metros import Metro


class Place(BaseModel):
    """The place of one pincode. `state` is our two-letter code.

    `listed` is False for a pincode the directory does not have, whose state is known from its first digits only:
    then `city` and `district` are empty (or the metropolitan area's name).
    """

    model_config = ConfigDict(frozen=True)

    pincode: str
    city: str
    district: str
    state: str
    metro: Metro | None = None
    listed: bool = True


class PincodeOut(Place):
    """A place, with its state spelled out and the number its GSTINs start with."""

    state_name: str
    gst_state: str
