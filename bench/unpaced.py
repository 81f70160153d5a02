"""The product's own command line, with nobody waiting for a turn at a channel: `python -m bench.unpaced worker`.

What is measured with it is ours alone, and not the channels' limits.
"""

from dataclasses import replace

from shipcrowd import wiring
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.cli import main

UNPACED = (1e6, 1e6)


def without_paces() -> None:
    """Every channel as it is wired, but for its limits."""
    wiring.CHANNELS = tuple(map(_unpaced, wiring.CHANNELS))


def _unpaced(vendor: ChannelVendor) -> ChannelVendor:
    return replace(vendor, paces=dict.fromkeys(vendor.paces, UNPACED))


if __name__ == "__main__":
    without_paces()
    main()
