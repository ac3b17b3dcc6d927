"""The gate between schema versions: what a change breaks, and for whom. `release` is the only way to a new version.

Every version must be compatible with all released ones in both directions: records of any age lie on the topics, and
a release that is rolled back leaves records of the newer version to the older code.

    python -m ensemble.messages.release check|release DIRECTORY...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ensemble.errors import ConfigurationError, MissingExtra, Problem
from ensemble.messages.avro_types import Schema
from ensemble.messages.schema_files import find_outdated
from ensemble.messages.schema_set import SchemaSet, SchemaVersion, fingerprint
from ensemble.program import command


def check_compatibility(schemas: SchemaSet) -> list[Problem]:
    """Return what is wrong with the working schemas and the released ones; nothing if they may be deployed."""
    return _find_damage(schemas) or [*find_outdated(schemas), *_find_breaks(schemas), *_find_unreleased(schemas)]


def release_schemas(schemas: SchemaSet) -> list[SchemaVersion]:
    """Give each changed schema its next version and id, on disk, and return those.

    Raises ConfigurationError if a change breaks readers or writers of a released version.
    """
    releases, registry = plan_releases(schemas), json.loads(json.dumps(schemas.registry))
    for version in releases:
        _add_release(schemas, registry, version)
    _write_json(schemas.directory / "registry.json", registry)
    return releases


def plan_releases(schemas: SchemaSet) -> list[SchemaVersion]:
    """Return the versions that `release_schemas` would make. Raises ConfigurationError as that does."""
    if problems := _find_damage(schemas) or find_outdated(schemas) or _find_breaks(schemas):
        raise ConfigurationError("nothing was released:\n" + "\n".join(f"  {problem}" for problem in problems))
    newest = [schemas.versions(name)[-1] for name in schemas.names()]
    drafts = [version for version in newest if not version.is_released]
    first_id = _next_id(schemas.registry)
    return [draft._replace(id=id_, is_released=True) for id_, draft in enumerate(drafts, start=first_id)]


def _find_damage(schemas: SchemaSet) -> list[Problem]:
    """Return what must be repaired before versions can be compared at all."""
    return [*_find_misplaced(schemas), *_find_edited(schemas), *_find_reused_ids(schemas)]


def _find_breaks(schemas: SchemaSet) -> list[Problem]:
    """Return what a release would break for records that are on the topics, or for older code."""
    return [*_find_removed(schemas), *_find_incompatible(schemas)]


def _next_id(registry: Mapping[str, Any]) -> int:
    ids = [entry["id"] for versions in registry["schemas"].values() for entry in versions.values()]
    first_id: int = registry["first_id"]
    return max(ids, default=first_id - 1) + 1


def _add_release(schemas: SchemaSet, registry: dict[str, Any], version: SchemaVersion) -> None:
    """Copy the working schema to released/, and enter the version in `registry`."""
    source = schemas.working_path(version.name)
    target = schemas.released_path(version.name, version.version)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(source.read_bytes())
    entry = {"id": version.id, "fingerprint": fingerprint(version.schema)}
    registry["schemas"].setdefault(version.name, {})[str(version.version)] = entry


def _write_json(path: Path, content: Schema) -> None:
    content["schemas"] = dict(sorted(content["schemas"].items()))
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _find_misplaced(schemas: SchemaSet) -> Iterator[Problem]:
    for name in schemas.names():
        path = schemas.working_path(name)
        if path.stem != name.rpartition(".")[2]:
            yield Problem(name, f"lies in {path.name}; a file is named after its record")


def _find_edited(schemas: SchemaSet) -> Iterator[Problem]:
    for name, versions in schemas.registry["schemas"].items():
        for number, entry in versions.items():
            path = schemas.released_path(name, number)
            if not path.exists():
                yield Problem(
                    name, f"version {number} was released, but {path} is gone; restore it from version control"
                )
            elif fingerprint(schemas.read(path)) != entry["fingerprint"]:
                yield Problem(
                    name, f"version {number} was edited after its release; restore {path}, make a new version"
                )


def _find_reused_ids(schemas: SchemaSet) -> Iterator[Problem]:
    owners: dict[int, str] = {}
    for name, versions in schemas.registry["schemas"].items():
        for number, entry in versions.items():
            if entry["id"] in owners:
                yield Problem(name, f"version {number} has id {entry['id']}, which is that of {owners[entry['id']]}")
            owners[entry["id"]] = f"{name} version {number}"


def _find_removed(schemas: SchemaSet) -> Iterator[Problem]:
    for name in schemas.registry["schemas"]:
        if name not in schemas.working:
            yield Problem(name, "was released, but its .avsc is gone: records of it on the topics would have no reader")


def _find_unreleased(schemas: SchemaSet) -> Iterator[Problem]:
    for name in schemas.names():
        if not (last := schemas.versions(name)[-1]).is_released:
            yield Problem(name, f"version {last.version} is not released yet; run `{command('schemas release')}`")


def _find_incompatible(schemas: SchemaSet) -> Iterator[Problem]:
    from ensemble.messages.compatibility import incompatibilities  # needs an extra, and `main` reports its absence

    for name in schemas.names():
        working = schemas.working[name]
        for old in schemas.released_versions(name):
            for reason in incompatibilities(working, old.schema):
                yield Problem(name, f"new readers cannot read records of version {old.version}: {reason}")
            for reason in incompatibilities(old.schema, working):
                yield Problem(name, f"readers of version {old.version} cannot read new records: {reason}")


def main(arguments: list[str]) -> int:
    """Run `check` or `release` on directories and return the exit code of the process."""
    try:
        match arguments:
            case ["check", *directories] if directories:
                sets = [SchemaSet(Path(directory)) for directory in directories]
                return _print_problems([problem for schemas in sets for problem in check_compatibility(schemas)])
            case ["release", *directories] if directories:
                return _release_all(directories)
    except MissingExtra as error:
        sys.stderr.write(f"{error}\n")
    else:
        sys.stderr.write("usage: python -m ensemble.messages.release check|release DIRECTORY...\n")
    return 2


def _print_problems(problems: list[Problem]) -> int:
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


def _release_all(directories: list[str]) -> int:
    try:
        released = [version for directory in directories for version in release_schemas(SchemaSet(Path(directory)))]
    except MissingExtra:
        raise
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{version.name} v{version.version} has id {version.id}\n" for version in released)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
