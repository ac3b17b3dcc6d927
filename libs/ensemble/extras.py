"""Names the extra of the distribution where a package that only some features need is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ensemble.errors import MissingExtra

DISTRIBUTION: Final = "ensemble-kafka"


@contextmanager
def imports_of_extra(extra: str, feature: str) -> Iterator[None]:
    """Raise MissingExtra, which says what to install, if an import in the block finds no package.

    `feature` is the beginning of that sentence: "the embedded broker".
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise MissingExtra(
            f"{feature} needs pip install '{DISTRIBUTION}[{extra}]' (the package {package} is missing)"
        ) from error
