"""What the engine asks a container: `healthcheck.py [PORT [PATH]]`, 8100 and /readyz by default. Prints the reason."""

import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path


def _token() -> dict[str, str]:
    path = os.environ.get("ENSEMBLE_HTTP_TOKEN_FILE")
    token = Path(path).read_text(encoding="utf-8") if path else os.environ.get("ENSEMBLE_HTTP_TOKEN", "")
    token = token.rstrip("\r\n")  # as the service reads it
    return {"Authorization": f"Bearer {token}"} if token else {}


def main(port: str = os.environ.get("ENSEMBLE_HTTP_PORT", "8100"), path: str = "/readyz") -> int:
    try:
        connection = HTTPConnection("127.0.0.1", int(port), timeout=25)
        connection.request("GET", path, headers=_token())
        answer = connection.getresponse()
        sys.stdout.write(answer.read(1000).decode(errors="replace"))
        return 0 if answer.status == HTTPStatus.OK else 1
    except (OSError, HTTPException) as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
