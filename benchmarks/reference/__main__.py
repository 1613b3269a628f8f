"""`python -m benchmarks.reference --samples 1000000`: see `compare`."""

import sys

from .compare import main

if __name__ == "__main__":
    sys.exit(main())
