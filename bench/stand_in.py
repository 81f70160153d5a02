"""`python -m bench.stand_in …`: Amazon's stand-in with sellers who have sold already, so that nobody waits for that."""

import argparse
from datetime import timedelta

import uvicorn

from shipcrowd.kernel import clock
from shipcrowd.sandbox.amazon.schemas import NewAmazonOrder, NewSeller, OrderKind
from shipcrowd.sandbox.app import sandbox
from shipcrowd.sandbox.desk import Desk

AGO = timedelta(hours=3)
KINDS = (OrderKind.prepaid, OrderKind.cod, OrderKind.prepaid, OrderKind.easy_ship, OrderKind.cod, OrderKind.fba)


def seller_id(number: int) -> str:
    return f"ABENCH{number:06d}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stand_in", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sellers", type=int, required=True)
    parser.add_argument("--orders", type=int, required=True, help="of each seller")
    given = parser.parse_args()
    desk = Desk()
    first = clock.now() - AGO
    for number in range(given.sellers):
        seller = desk.amazon.create_seller(NewSeller(seller_id=seller_id(number)))
        for n in range(given.orders):
            placed = first + timedelta(milliseconds=200 * n)
            desk.amazon.place_order(seller.id, NewAmazonOrder(kind=KINDS[n % len(KINDS)], placed_at=placed))
    uvicorn.run(sandbox(desk), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
