"""The pincode directory. It belongs to no company and is written by migrations only."""

from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel.db import Base


class Pincode(Base):
    """One delivery pincode of India Post. `state` is our two-letter code; `district` may be empty."""

    __tablename__ = "pincodes"

    pincode: Mapped[str] = mapped_column(primary_key=True)
    city: Mapped[str]
    district: Mapped[str]
    state: Mapped[str]
