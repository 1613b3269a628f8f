"""``python -m riskshare`` is the command line."""

from riskshare.cli import main

main()
