"""Topics that belong to no service of the flow."""

from __future__ import annotations

from typing import Final

from ensemble.service.catalogue import Topic

NOTES: Final = Topic("operators.notes", "operators", key="", partitions=1, cleanup="compact")
