"""An application on the runtime, as one object: its command line, its operators and its tests find all of it there."""

from ensemble.application.declaration import ConductorFactory
from ensemble.application.resolution import find_application

__all__ = ["ConductorFactory", "find_application"]
