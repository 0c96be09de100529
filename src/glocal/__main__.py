"""`python -m glocal`."""

import sys

from .cli import main

sys.exit(main())
