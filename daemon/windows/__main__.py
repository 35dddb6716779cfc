"""``python -m daemon.windows service …``: the service commands alone, without the rest of the command line."""

import sys

from daemon.windows.service import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
