"""`ensemble`, or `python -m cli`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cli.errors import answer


def main() -> None:
    """The command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """One command, and its exit code: 0 done, 1 failed, 2 the user's mistake."""
    from cli.app import make_app

    try:
        make_app()(args=list(arguments), prog_name="ensemble")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  every error is answered in words
        return answer(error)
    return 0


if __name__ == "__main__":
    main()
