"""The test driver, and a Kafka in a container."""

from ensemble.testing.containers import ApacheKafkaContainer, ContainerError
from ensemble.testing.driver import ManualClock, ServiceTestDriver

__all__ = ["ApacheKafkaContainer", "ContainerError", "ManualClock", "ServiceTestDriver"]
