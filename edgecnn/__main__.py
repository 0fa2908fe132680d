"""`python -m edgecnn`: the same as the console script."""

from edgecnn.cli.main import main

main()
