"""The fields of a message in the user's editor."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ensemble.command_line.errors import Failure, Mistake
from ensemble.command_line.fields import Fields, from_file


def edit(fields: Mapping[str, Any], name: str) -> Fields:
    """Open the fields as JSON in VISUAL or EDITOR, and return what was saved.

    Raises Failure if nothing was changed, and Mistake for what is no JSON object; the file stays then.
    """
    folder = Path(tempfile.mkdtemp(prefix="ensemble-edit-"))
    path = folder / f"{name.replace('/', '-')}.json"
    path.write_text(json.dumps(fields, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        ended = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except OSError as error:
        raise Mistake(f"--editor: {editor} cannot be run: {error.strerror}; set EDITOR, or give --edit FILE") from None
    if ended:
        raise Failure(f"{editor} ended with exit code {ended}; nothing was changed")
    edited = from_file(path, "--editor")
    path.unlink()
    folder.rmdir()
    if edited == json.loads(json.dumps(fields, default=str)):
        raise Failure("the fields are as they were; nothing was changed (redrive it without --editor)")
    return edited
