"""`ensemble`, or `python -m cli`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cli.errors import answer
from cli.streams import prepare_streams


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 for success, 1 for a failure, 2 for a mistake of the user."""
    from cli.app import make_app

    prepare_streams()
    try:
        make_app()(args=list(arguments), prog_name="ensemble")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  every error is answered in words
        return answer(error)
    return 0


if __name__ == "__main__":
    main()
