"""The view that lists and counts are answered from: kept in a file for each cluster, or made anew in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ensemble.command_line.connection import is_connected, progress
from ensemble.command_line.formatting import moment_text
from ensemble.command_line.streams import say

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient
    from ensemble.operations import Session
    from ensemble.operations.view import Projection, View

_UNUSED_S: Final = 30 * 86_400.0


@contextmanager
def synced_view(
    access: ClusterClient, projections: Sequence[Projection], what: str, *, use_file: bool = True
) -> Iterator[View]:
    """Give a view of these projections that is up to date.

    If another process is bringing the file up to date, it is as of the last time, which is said; or made in memory if
    there was none.
    """
    from ensemble.operations.view import View

    path = _path(access) if use_file and not is_connected() else None
    with View(access, projections, path) as view:
        synced = view.sync(progress(what))
        if synced.is_current or synced.as_of is not None:
            if not synced.is_current and synced.as_of is not None:
                say(f"as of {moment_text(synced.as_of)}: another command is reading what came since")
            yield view
            return
    with View(access, projections) as view:
        view.sync(progress(what))
        yield view


@contextmanager
def kept_view(access: ClusterClient, projections: Sequence[Projection]) -> Iterator[View | None]:
    """Give the cluster's view as the last command has left it, or None without one that is right and can be used.

    No record is read.
    """
    with ExitStack() as stack:
        view = None if is_connected() else _opened(access, projections)
        if view is not None:
            stack.enter_context(view)
        yield view if view is not None and view.is_filled() else None


def _opened(access: ClusterClient, projections: Sequence[Projection]) -> View | None:
    from ensemble.operations.errors import Unreachable
    from ensemble.operations.view import View

    path = _path_of(access)
    try:
        return View(access, projections, path) if path.exists() else None
    except Unreachable:  # such as another user's; whoever asks about one order does without
        return None


def failures_view(session: Session, *, use_file: bool) -> AbstractContextManager[View]:
    """Give a view of dead letters and parked keys, like `synced_view`."""
    from ensemble.operations.failures import FailuresProjection

    return synced_view(session.client, [FailuresProjection(session.decoder)], "dead letters", use_file=use_file)


def pauses_view(session: Session, *, use_file: bool, since: int | None = None) -> AbstractContextManager[View]:
    """Give a view of pauses and of what operators have asked for, like `synced_view`.

    Who asks about one order says `since` when (epoch milliseconds): unless a view is filled already, older dead letters
    are not read, and nothing is kept.
    """
    from ensemble.operations.audit import AuditProjection
    from ensemble.operations.failures import FailuresProjection

    projections: list[Projection] = [FailuresProjection(session.decoder), AuditProjection(session.decoder)]
    if since is not None:
        with kept_view(session.client, projections) as view:
            use_file = view is not None
        projections[0] = projections[0] if use_file else FailuresProjection(session.decoder, since)
    return synced_view(session.client, projections, "pauses", use_file=use_file)


def _path(access: ClusterClient) -> Path | None:
    """Return the file of the cluster's view, or None if this user cannot write one."""
    path = _path_of(access)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        say(f"no view is kept: {path.parent}: {error.strerror}")
        return None
    _remove_unused(path.parent, path)
    return path


def _path_of(access: ClusterClient) -> Path:
    from ensemble.embedded import default_directory
    from ensemble.operations.view import file_of_cluster

    return file_of_cluster(default_directory().parent / "views", access.cluster_id())


def _remove_unused(directory: Path, used: Path) -> None:
    """Remove the views of clusters that were not asked for a month: embedded ones come and go."""
    for path in directory.glob("*.db"):
        with suppress(OSError):  # another command may do the same
            if path != used and path.stat().st_mtime < time.time() - _UNUSED_S:
                for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                    each.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
