"""The process that serves HTTP, pages and API: `python -m dagsched.web FD`, started by the daemon."""

import sys

from dagsched.api.server import main
from dagsched.web.site import make_site

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), make_site))
