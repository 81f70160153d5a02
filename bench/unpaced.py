"""`python -m bench.unpaced worker`: the product whose calls to Amazon wait for no rate limit of ours."""

from dataclasses import replace

from shipcrowd import wiring
from shipcrowd.cli import main
from shipcrowd.integrations import amazon

ENOUGH = (1e6, 1e6)


def without_paces() -> None:
    wiring.CHANNELS = (replace(amazon.vendor, paces=dict.fromkeys(amazon.vendor.paces, ENOUGH)),)


if __name__ == "__main__":
    without_paces()
    main()
