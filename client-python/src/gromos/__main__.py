"""`python -m gromos` is the command `gromos`."""

import sys

from .cli import main

sys.exit(main())
