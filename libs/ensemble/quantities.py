"""Numbers with their nouns, as messages to people have them."""


def quantity(number: int, noun: str) -> str:
    """Return `1 order`, or `3,000 orders`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
