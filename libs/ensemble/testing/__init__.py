"""Tests one service, or a whole flow, in memory with a driver; or on a Kafka in a container."""

from ensemble.testing.containers import ApacheKafkaContainer, ContainerError
from ensemble.testing.driver import ManualClock, ServiceTestDriver
from ensemble.testing.flow import FlowTestDriver, StoryLine
from ensemble.testing.reading import ServiceView
from ensemble.testing.schedules import FlowError, Interleavings

__all__ = [
    "ApacheKafkaContainer",
    "ContainerError",
    "FlowError",
    "FlowTestDriver",
    "Interleavings",
    "ManualClock",
    "ServiceTestDriver",
    "ServiceView",
    "StoryLine",
]
