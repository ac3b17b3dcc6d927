"""Profiles: the connections to several clusters, in a file of the user, by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ensemble.command_line.errors import Mistake, UnknownName
from ensemble.command_line.streams import say
from ensemble.errors import ConfigurationError, did_you_mean
from ensemble.settings import CommandSettings, KafkaSettings, RegistrySettings
from ensemble.toml import read_toml

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

_OF_COMMANDS: Final = ("health_urls", "http_token")
_CREDENTIALS: Final = re.compile(r"://[^\s\"]*@")
"""A user, and most often a password, in a URL: as no secret it would be shown."""
_CLUSTER: Final = "KAFKA_BOOTSTRAP_SERVERS"


def directory() -> Path:
    """Return where profiles are kept: ENSEMBLE_CONFIG_DIR, else `ensemble` in the user's folder for configuration."""
    if directory := os.environ.get("ENSEMBLE_CONFIG_DIR"):
        return Path(directory)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "ensemble"


def profiles_file() -> Path:
    """Return the file that has the profiles."""
    return directory() / "profiles.toml"


def _current_file() -> Path:
    return directory() / "current-profile"


@dataclass(frozen=True)
class Profile:
    """The connection to one cluster: variables of settings, of which secrets lie elsewhere."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of secrets: `env` and a variable, or `file` and a path."""

    @property
    def bootstrap_servers(self) -> str:
        return self.values.get(_CLUSTER, "")

    def require_cluster(self) -> None:
        """Raise Mistake unless the profile names a cluster; without one, commands would act on one that they find."""
        if not self.bootstrap_servers and _CLUSTER not in self.references:
            raise Mistake(f"--profile {self.name}: {profiles_file()} gives [{self.name}] no {_CLUSTER.lower()}; add it")

    def described(self) -> dict[str, str]:
        """Return every variable with its value, or where its secret comes from."""
        return {**self.values, **{name: f"{kind} {where}" for name, (kind, where) in self.references.items()}}

    def apply(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Make the environment the one of this profile: connection variables that it does not set are removed.

        Raises Mistake if a variable that it refers to is not set, or is empty.
        """
        secrets = dict(self._secrets(environment))
        for name in variables():
            environment.pop(name, None)
            environment.pop(f"{name}_FILE", None)
        environment.update({**self.values, **secrets})

    def _secrets(self, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        for name, (kind, where) in self.references.items():
            if kind == "file":
                yield f"{name}_FILE", str(Path(where).expanduser())
            elif value := environment.get(where):
                yield name, value
            else:
                raise Mistake(f"--profile {self.name}: {name} comes from {where}, which is not set")


def variables() -> dict[str, bool]:
    """Return the variables that a profile may set, and whether each is a secret."""
    kinds: list[tuple[type[BaseSettings], Iterable[str]]] = [
        (KafkaSettings, KafkaSettings.model_fields),
        (RegistrySettings, RegistrySettings.model_fields),
        (CommandSettings, _OF_COMMANDS),
    ]
    return {
        f"{kind.model_config.get('env_prefix', '')}{name}".upper(): "Secret" in str(kind.model_fields[name].annotation)
        for kind, names in kinds
        for name in names
    }


def read_profiles() -> dict[str, Profile]:
    """Return all profiles by name. Raises Mistake that names the file and what is wrong in it."""
    path = profiles_file()
    if _is_missing(path):
        return {}
    try:
        _, document = read_toml(path)
    except ConfigurationError as error:
        raise Mistake(str(error)) from None
    if stray := [name for name, value in document.items() if not isinstance(value, dict)]:
        raise Mistake(f"{path}: {stray[0]} belongs to no profile; put it below [NAME]")
    return {name: _profile(path, name, table) for name, table in document.items()}


def _is_missing(path: Path) -> bool:
    """Return whether there is no such file. One in a folder that nobody may enter is told when it is read."""
    try:
        path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def find_profile(name: str, flag: str = "--profile") -> Profile:
    """Return a profile. Raises UnknownName listing those that there are."""
    profiles = read_profiles()
    if name in profiles:
        return profiles[name]
    there = f"profiles are {', '.join(profiles)}" if profiles else f"{profiles_file()} has none"
    raise UnknownName(f"{flag}: no profile {name!r}; {did_you_mean(name, profiles) or there}")


def current_name() -> str:
    """Return the name of the profile that was chosen last, or an empty text."""
    try:
        return _current_file().read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def choose(profile: Profile | None) -> None:
    """Have later commands use this profile, or none. Raises Mistake if that cannot be written."""
    path = _current_file()
    try:
        if profile is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{profile.name}\n", encoding="utf-8")
    except OSError as error:
        raise Mistake(f"{path} cannot be written: {error.strerror}") from None


@dataclass
class _InUse:
    name: str = ""


_in_use: Final = _InUse()


def use(profile: Profile) -> None:
    """Have this process, and those that it starts, connect as the profile says. Raises Mistake without a cluster."""
    profile.require_cluster()
    profile.apply()
    _in_use.name = profile.name


def use_current() -> None:
    """Use the profile that was chosen, which is said, unless the command line or the environment names a cluster."""
    if _in_use.name or os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return
    if name := os.environ.get("ENSEMBLE_PROFILE") or current_name():
        profile = find_profile(name, "ENSEMBLE_PROFILE" if os.environ.get("ENSEMBLE_PROFILE") else "context use")
        use(profile)
        say(f"using profile {name} ({os.environ[_CLUSTER]})")


def name_in_use() -> str:
    """Return the name of the profile that this process uses, or an empty text."""
    return _in_use.name


def _profile(path: Path, name: str, table: Mapping[str, Any]) -> Profile:
    kinds, values, references = variables(), dict[str, str](), dict[str, tuple[str, str]]()
    for key, value in table.items():
        where, variable = f"{path}: [{name}] {key}", key.upper()
        if variable not in kinds:
            raise Mistake(f"{where} is no setting of a connection; {did_you_mean(variable, kinds) or 'see the manual'}")
        if isinstance(value, dict):
            references[variable] = _reference(where, value, is_secret=kinds[variable])
        elif kinds[variable]:
            raise Mistake(f'{where} is a secret: give {{env = "VARIABLE"}} or {{file = "PATH"}}, never the value')
        else:
            values[variable] = _value(where, value)
    return Profile(name, values, references)


def _reference(where: str, value: Mapping[str, Any], *, is_secret: bool) -> tuple[str, str]:
    match list(value.items()):
        case [("file", str())] if not is_secret:  # no setting reads it, so that the variable would count as not set
            raise Mistake(f'{where} is no secret, and is read from no file: give the value, or {{env = "VARIABLE"}}')
        case [(("env" | "file") as kind, str(target))]:
            return kind, target
    raise Mistake(f'{where}: give {{env = "VARIABLE"}} or {{file = "PATH"}}')


def _value(where: str, value: object) -> str:
    """Return a value as variables have it. Raises Mistake, which never has the value, for one that would be misread."""
    if not isinstance(value, str | int | float | bool):
        raise Mistake(f"{where}: give one text, number or boolean; several servers are one text with commas")
    if _CREDENTIALS.search(text := str(value)):
        raise Mistake(f"{where} has credentials in a URL; give the URL without them, and the secret in its own setting")
    return text
