"""What a demonstration may provoke: killed services and outages of the provider, through the launcher that runs it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import SecretStr, ValidationError

from ensemble import EnsembleError
from ensemble.operations import NotPossible, Result, Unreachable
from services.control_room.settings import ControlRoomSettings

Mode = Literal["up", "down", "error", "hang", "no_refunds"]
Deed = Literal["kill", "restart", "outage"]
_LIMIT_S: Final = 30.0
"""As long as a service takes to stop, and more."""
_LOOK_S: Final = 5.0
_MOST_BYTES: Final = 100_000


class DemoMember(Result):
    """A process of the demonstration; `reason` says why it is not ready, empty if it is."""

    name: str
    is_alive: bool
    reason: str


class DemoState(Result):
    """All processes but the control room, and the mode of the provider's outage; None if it does not answer."""

    members: tuple[DemoMember, ...]
    outage: str | None


@dataclass(frozen=True)
class Demonstration:
    """The launcher, as the control room asks it. Any thread may use it."""

    url: str
    token: SecretStr

    @classmethod
    def of(cls, settings: ControlRoomSettings) -> Demonstration | None:
        """Return the one that the settings name, None elsewhere."""
        if settings.launcher_url is None or settings.launcher_token is None:
            return None
        return cls(settings.launcher_url, settings.launcher_token)

    def state(self) -> DemoState:
        """Return how all processes are. Raises Unreachable if the launcher does not answer."""
        return self._ask(None, _LOOK_S)

    def stopped(self) -> frozenset[str]:
        """Return the services that do not run, as far as the launcher says."""
        try:
            return frozenset(member.name for member in self.state().members if not member.is_alive)
        except EnsembleError:
            return frozenset()

    def provoke(self, does: Deed, subject: str) -> DemoState:
        """Kill or restart a process, or order an outage of this mode. Raises NotPossible in the launcher's words."""
        return self._ask(json.dumps({"does": does, "subject": subject}).encode(), _LIMIT_S)

    def _ask(self, order: bytes | None, limit_s: float) -> DemoState:
        headers = {"Authorization": f"Bearer {self.token.get_secret_value()}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url, order, headers)  # noqa: S310  of its own settings
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=limit_s) as response:
                return DemoState.model_validate_json(response.read(_MOST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                raise NotPossible(_problem_in(error.read(_MOST_BYTES))) from None
        except (OSError, ValidationError) as error:
            raise Unreachable(f"the launcher does not answer: {error}") from None


def _problem_in(body: bytes) -> str:
    try:
        document: Any = json.loads(body)
        return str(document["problem"])
    except (ValueError, KeyError, TypeError):
        return "the launcher refuses it"
