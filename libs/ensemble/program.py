"""Names the command line of the application that runs, in messages that say which command helps."""

import os
from typing import Final

PROGRAM_VARIABLE: Final = "ENSEMBLE_PROGRAM"
"""What its user types to start it. It is in the environment, so that the services it starts say the same."""


def command(arguments: str) -> str:
    """Return a command as the user of this application types it; `ensemble ARGUMENTS` where nobody has said how."""
    return f"{os.environ.get(PROGRAM_VARIABLE) or 'ensemble'} {arguments}"
