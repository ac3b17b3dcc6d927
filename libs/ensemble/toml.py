"""Reads TOML files that people write: what is wrong with one is said in the same words wherever it is read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ensemble.errors import ConfigurationError


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the file's text and its tables. Raises ConfigurationError if it cannot be read or is not TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # also what Python does not read, though it is TOML
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
