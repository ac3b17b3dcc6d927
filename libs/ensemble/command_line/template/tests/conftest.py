"""Tests that take `outsider_of` and `run_service` get a real Kafka: `pytest --kafka=env|containers|embedded`."""

pytest_plugins = ["ensemble.testing.pytest"]
