"""`python -m docs.site DIRECTORY` writes what the site is built from; `make docs` runs it."""

import sys
from pathlib import Path

from docs.site.pages import write_pages

if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
