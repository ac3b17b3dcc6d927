"""The process that runs one job of the check: `python -m verifier.child`, with the job at its standard input."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading

from verifier.processes import rare_collections


def main() -> None:
    """Run the job, and write whether it has returned, and what; or what it has raised."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's Ctrl-C the process that asked thinks for both
    answer, sys.stdout = sys.stdout.buffer, sys.stderr
    logging.disable()  # what is wrong with the cluster is the job's error, which the process that asked tells of
    job = pickle.load(sys.stdin.buffer)  # noqa: S301  the process that started this one has written it
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    try:
        with rare_collections():
            outcome = True, job()
    except Exception as error:  # noqa: BLE001  whatever it is, the process that asked has to know
        outcome = False, error
    pickle.dump(outcome, answer)
    answer.flush()


def _end_with_the_other() -> None:
    """End this process when the one that asked has ended in any way, for its end of the pipe is then closed."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
