"""Amounts of money as people read them. Messages carry minor units, and how many make one is the currency's affair."""

from __future__ import annotations

from typing import Final

_DIGITS: Final = {
    **dict.fromkeys((
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
        "XOF", "XPF",
    ), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip
"""The currencies whose minor unit is not a hundredth (ISO 4217, list one)."""
_WITHOUT_MINOR_UNIT: Final = frozenset((
    "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX",
))  # fmt: skip
_USUAL_DIGITS: Final = 2


def money(amount: int, currency: str) -> str:
    """Format minor units with as many decimals as ISO 4217 gives the currency: `12.34 EUR`, `1000 JPY`, `1.234 KWD`.

    Where the number of decimals is not defined, the amount is called what it is: `1000 minor units`.
    """
    if not currency or currency in _WITHOUT_MINOR_UNIT:
        return f"{amount} minor units {currency}".rstrip()
    digits = _DIGITS.get(currency, _USUAL_DIGITS)
    sign, (units, fraction) = "-" * (amount < 0), divmod(abs(amount), 10**digits)
    return f"{sign}{units}.{fraction:0{digits}} {currency}" if digits else f"{sign}{units} {currency}"
