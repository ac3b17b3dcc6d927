"""Holds what the author of a service declares: topics, roles with their handlers, ports and stores."""

from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.service.topics import NOTES

__all__ = ["MAX_RECORD_BYTES", "NOTES"]
