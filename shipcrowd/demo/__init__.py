"""`shipcrowd demo`: the whole product on one machine, with stand-ins for the vendors and a day of trade.

`stage` starts and stops the processes, `story` is the day, `summary` the table at its end and its checks.
"""

from shipcrowd.demo.main import main

__all__ = ["main"]
