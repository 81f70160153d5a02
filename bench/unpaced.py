"""The product's own command line, with nobody waiting for a turn at Flipkart: `python -m bench.unpaced worker`.

What is measured with it is ours alone, and not Flipkart's limits.
"""

from dataclasses import replace

from shipcrowd import wiring
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.cli import main

UNPACED = (1e6, 1e6)


def unpaced(vendor: ChannelVendor) -> ChannelVendor:
    return replace(vendor, paces=dict.fromkeys(vendor.paces, UNPACED)) if vendor.slug == "flipkart" else vendor


if __name__ == "__main__":
    wiring.CHANNELS = tuple(map(unpaced, wiring.CHANNELS))
    main()
