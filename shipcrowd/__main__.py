"""`python -m shipcrowd` is the command line."""

from shipcrowd.cli import main

main()
