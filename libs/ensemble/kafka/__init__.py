"""Everything that touches Kafka: the only part of the project that imports the client."""
