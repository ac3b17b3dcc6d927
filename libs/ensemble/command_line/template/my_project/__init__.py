"""Event-driven services on Kafka."""
