"""The application: all services of this project, by name, with the topics that they share."""

from __future__ import annotations

from ensemble import Application, Service

from my_project.contracts import CATALOGUE


def _parcels() -> Service:
    from my_project.parcels import parcel_service  # imported when a command needs this service

    return parcel_service()


APP = Application("my-project", CATALOGUE, services={"parcels": _parcels})
