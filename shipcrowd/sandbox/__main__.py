"""`python -m shipcrowd.sandbox --port 8100`: the stand-ins on this machine, and nowhere else."""

import argparse

import uvicorn

from shipcrowd.sandbox.amazon.schemas import NewSeller as AmazonSeller
from shipcrowd.sandbox.app import sandbox
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.flipkart.schemas import NewSeller as FlipkartSeller
from shipcrowd.sandbox.letters import on_this_machine


def main() -> None:
    """Serve until stopped. Binds the loopback address only."""
    parser = argparse.ArgumentParser(prog="python -m shipcrowd.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument(
        "--seed", type=int, default=1, help="what is drawn by chance is drawn the same with the same seed"
    )
    parser.add_argument("--shop", action="append", default=[], metavar="DOMAIN", help="create this shop at the start")
    parser.add_argument(
        "--amazon-seller", action="append", default=[], metavar="NAME", help="open this seller at Amazon"
    )
    parser.add_argument(
        "--flipkart-seller", action="append", default=[], metavar="NAME", help="and this seller at Flipkart"
    )
    parser.add_argument("--queue-port", type=int, default=0, help="where SQS listens once a queue is asked for")
    parser.add_argument("--queue-endpoint", metavar="URL", help="an SQS server that runs already, on this machine")
    chosen = parser.parse_args()
    if chosen.queue_endpoint and not on_this_machine(chosen.queue_endpoint):
        parser.error("--queue-endpoint must lead to this machine")
    desk = Desk(seed=chosen.seed)
    for domain in chosen.shop or ["my-shop.myshopify.com"]:
        desk.create_shop(domain)
    for name in chosen.amazon_seller or ["Asha Crafts"]:
        desk.amazon.create_seller(AmazonSeller(name=name))
    for name in chosen.flipkart_seller or ["Asha Crafts"]:
        desk.flipkart.create_seller(FlipkartSeller(name=name))
    desk.amazon.queues.port, desk.amazon.queues.endpoint = chosen.queue_port, chosen.queue_endpoint
    print(f"The sandbox's desk is at http://127.0.0.1:{chosen.port}/desk")
    uvicorn.run(sandbox(desk), host="127.0.0.1", port=chosen.port, log_level="warning")


if __name__ == "__main__":
    main()
