"""The test driver, and a Kafka in a container."""
