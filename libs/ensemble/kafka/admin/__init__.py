"""What a cluster holds and should hold: topics, ACLs, users."""

from ensemble.kafka.admin import acls, topics, users
from ensemble.kafka.authorization import principal

__all__ = ["acls", "principal", "topics", "users"]
