"""What an action would do with an order, in words, as the command line has it too."""

from __future__ import annotations

from backoffice.effect_text import describe_effect

__all__ = ["describe_effect"]
