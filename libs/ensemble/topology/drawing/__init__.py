"""Draws the flow as text, as Mermaid and as an SVG picture."""

from ensemble.topology.drawing.svg import svg
from ensemble.topology.drawing.text import mermaid, text

__all__ = ["mermaid", "svg", "text"]
