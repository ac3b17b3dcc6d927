"""What operators can ask about the order flow: orders, their records, stock. It neither prints nor asks anybody."""

from backoffice.order_records import (
    ENDED,
    MESSAGE_TOPICS,
    OrderRecords,
    find_dead_letters,
    find_records,
    places_of,
)

__all__ = [
    "ENDED",
    "MESSAGE_TOPICS",
    "OrderRecords",
    "find_dead_letters",
    "find_records",
    "places_of",
]
