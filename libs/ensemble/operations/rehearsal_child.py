"""The child that rehearses redrives: `python -m ensemble.operations.rehearsal_child`, with a request on stdin.

Its answer is a list of rehearsals, or with exit code 1 the text of an error.
"""

from __future__ import annotations

import sys

from ensemble.application import find_application
from ensemble.errors import EnsembleError
from ensemble.kafka.client import client_with
from ensemble.kafka.registry import schema_sources
from ensemble.operations.redrive_rehearsal import rehearse_plan
from ensemble.operations.rehearsal_process import REHEARSALS, RehearsalRequest
from ensemble.operations.session import Session
from ensemble.settings import RegistrySettings, load


def main() -> int:
    """Answer one request, in the file that it names: whatever handlers print is none of the answer."""
    request = RehearsalRequest.model_validate_json(sys.stdin.buffer.read())
    sys.path[:0] = [folder for folder in request.path if folder not in sys.path]
    try:
        request.answer.write_bytes(REHEARSALS.dump_json(rehearse_plan(_open_session(request), request.plan)))
    except EnsembleError as error:
        request.answer.write_text(str(error), encoding="utf-8")
        return 1
    return 0


def _open_session(request: RehearsalRequest) -> Session:
    sources = schema_sources(load(RegistrySettings).for_commands(settle_s=0.0), limit_s=request.patience_s)
    client = client_with(request.kafka, request.patience_s)
    return Session(find_application(request.application), client, sources)


if __name__ == "__main__":
    sys.exit(main())
