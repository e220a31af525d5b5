"""`python -m edgefair`."""

from edgefair.cli import main

main()
