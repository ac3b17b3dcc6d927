"""From MODULE:NAME to an application: as a flag says, the environment, or the pyproject.toml of the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ensemble.application.declaration import Application
from ensemble.errors import ConfigurationError, describe_error, did_you_mean
from ensemble.service.service import Service
from ensemble.toml import read_toml

VARIABLE: Final = "ENSEMBLE_APP"
_FLAG: Final = "--app"
_EXAMPLE: Final = "my_project.app:APP"


def find_application(
    path: str | None = None, environment: Mapping[str, str] = os.environ, directory: Path | None = None
) -> Application:
    """Import the application that `path` names, else ENSEMBLE_APP, else `[tool.ensemble] app` of a pyproject.toml.

    A service there is an application of its own. The pyproject.toml is looked for in `directory` (by default the
    working directory) and upwards. Its folder, or `directory` for a path of another origin, goes on sys.path. Raises
    ConfigurationError naming flag, variable or file.
    """
    directory = (directory or Path.cwd()).resolve()
    if path is not None:
        return _load(path, f"{_FLAG} {path}", directory)
    if path := environment.get(VARIABLE):
        return _load(path, f"{VARIABLE}={path}", directory)
    for file in _pyprojects(directory):
        if (path := _application_in(file)) is not None:
            return _load(path, f'{file}: [tool.ensemble] app = "{path}"', file.parent)
    raise ConfigurationError(
        f'no application: give {_FLAG} MODULE:NAME, set {VARIABLE}, or put `app = "{_EXAMPLE}"` under [tool.ensemble] '
        f"in the project's pyproject.toml (looked for in {directory} and above)"
    )


def _pyprojects(directory: Path) -> Iterator[Path]:
    for folder in (directory, *directory.parents):
        if (file := folder / "pyproject.toml").is_file():
            yield file


def _application_in(file: Path) -> str | None:
    """Return the path that the file gives, None if it says nothing of Ensemble."""
    _, document = read_toml(file)
    table: Any = document.get("tool", {}).get("ensemble")
    if table is None:
        return None
    path = table.get("app") if isinstance(table, dict) else None
    if not isinstance(path, str):
        raise ConfigurationError(f'{file}: [tool.ensemble] has no text `app`; write app = "{_EXAMPLE}"')
    return path


def _load(path: str, origin: str, directory: Path) -> Application:
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *name.split("."))):
        raise ConfigurationError(f"{origin}: expected MODULE:NAME, such as {_EXAMPLE}")
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    application = _attribute(_import(module_name, origin, directory), name, origin)
    if isinstance(application, Service):
        return Application.of(application)
    if not isinstance(application, Application):
        kind = type(application).__name__
        raise ConfigurationError(f"{origin}: {name} is a {kind}, not an ensemble.Application or ensemble.Service")
    return application


def _import(name: str, origin: str, directory: Path) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(f"{origin}: no module {error.name!r} in {directory} or installed") from None
        raise ConfigurationError(f"{origin}: importing {name} failed: {describe_error(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{origin}: importing {name} failed: {describe_error(error)}") from error


def _attribute(module: ModuleType, name: str, origin: str) -> object:
    value: object = module
    for part in name.split("."):
        if not hasattr(value, part):
            applications = [key for key, each in vars(module).items() if isinstance(each, Application | Service)]
            hint = (
                did_you_mean(part, applications) or f"it has {', '.join(applications) or 'no Application or Service'}"
            )
            raise ConfigurationError(f"{origin}: {module.__name__} has no {name!r}; {hint}")
        value = getattr(value, part)
    return value
