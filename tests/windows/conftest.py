"""Which parts of this folder a plain test run may collect.

``units`` needs Windows (or the Windows Python under Wine), ``bed`` the Wine test bed on Linux: both are run by
``tests/windows/run``, which makes the bed first and fails, rather than leaving them out, when it can't.
"""

import os
import sys

collect_ignore = []
if sys.platform != "win32":
    collect_ignore.append("units")
if "RISK_MANAGER_BED" not in os.environ:
    collect_ignore.append("bed")
