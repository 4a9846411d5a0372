"""``python -m akd_toolkit.cli`` is the command ``akd``."""

import sys

from akd_toolkit.cli import main

sys.exit(main())
