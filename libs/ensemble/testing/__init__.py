"""Tests a service in memory with a driver, or on a Kafka in a container."""

from ensemble.testing.containers import ApacheKafkaContainer, ContainerError
from ensemble.testing.driver import ManualClock, ServiceTestDriver

__all__ = ["ApacheKafkaContainer", "ContainerError", "ManualClock", "ServiceTestDriver"]
