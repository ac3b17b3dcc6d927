"""What a container's health check asks a process with: the token as the process itself reads it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Final

import pytest

HEALTHCHECK: Final = Path(__file__).parents[3] / "deploy" / "healthcheck.py"


@pytest.mark.parametrize(
    ("token", "header"),
    [("s3cret", "Bearer s3cret"), ("s3cret\n", "Bearer s3cret"), ("s3cret\r\n", "Bearer s3cret"), ("", None)],
    ids=["as it is", "with a line break", "with that of Windows", "none"],
)
def test_the_token_has_no_line_break(
    token: str, header: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.delenv("ENSEMBLE_HTTP_TOKEN_FILE", raising=False)
    file = tmp_path / "token"
    file.write_bytes(token.encode())
    token_of = runpy.run_path(str(HEALTHCHECK))["_token"]

    # when
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN", token)
    from_variable = token_of()
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN_FILE", str(file))
    from_file = token_of()

    # then
    assert [headers.get("Authorization") for headers in (from_variable, from_file)] == [header, header]
