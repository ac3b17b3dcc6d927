"""Creates and checks what a cluster holds: topics, ACLs and users."""

from ensemble.kafka.admin import acls, topics, users
from ensemble.kafka.authorization import principal

__all__ = ["acls", "principal", "topics", "users"]
