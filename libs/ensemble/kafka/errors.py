"""Errors of a cluster that was reached."""

from __future__ import annotations

from ensemble.errors import EnsembleError


class ClusterError(EnsembleError):
    """The cluster was reached, but did not do what it was asked to do."""
