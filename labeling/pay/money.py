"""Money in whole minor units (cents), never in floating point: the one rounding, and how amounts are read and said."""

from __future__ import annotations

import re

from django.utils.formats import get_format
from django.utils.translation import gettext as _

from labeling.refusals import Refusal

# ISO 4217 code → digits behind the point.
CURRENCIES = {
    **dict.fromkeys(
        (
            "AUD",
            "BDT",
            "BRL",
            "CAD",
            "CHF",
            "CNY",
            "CZK",
            "DKK",
            "EUR",
            "GBP",
            "GHS",
            "HKD",
            "HUF",
            "IDR",
            "ILS",
            "INR",
        ),
        2,
    ),
    **dict.fromkeys(
        (
            "KES",
            "MXN",
            "MYR",
            "NGN",
            "NOK",
            "NZD",
            "PHP",
            "PKR",
            "PLN",
            "RON",
            "SEK",
            "SGD",
            "THB",
            "TRY",
            "TWD",
            "UAH",
        ),
        2,
    ),
    **dict.fromkeys(("USD", "VES", "ZAR"), 2),
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3),
}
HOUR = 3600
MOST = 10**11  # minor units of one amount


def amount_of(seconds: int, per_hour: int) -> int:
    """Minor units for `seconds` at `per_hour` minor units an hour, rounded to the nearest, halves away from zero.

    This is the only place that rounds money, once for each entry of the ledger; sums are sums of entries. The database
    computes the same in the constraint `ledger_amount_is_time_at_its_rate`, and so refuses any other amount.
    """
    twice = 2 * abs(seconds) * per_hour + HOUR
    rounded = twice // (2 * HOUR)
    return rounded if seconds >= 0 else -rounded


def per_hour_of(amount: int, seconds: int) -> int | None:
    """Minor units an hour that `amount` for `seconds` comes to, for showing; None where there was no time."""
    if seconds <= 0:
        return None
    halves = (2 * abs(amount) * HOUR + seconds) // (2 * seconds)
    return halves if amount >= 0 else -halves


def plain(amount: int, currency: str) -> str:
    """-1250 EUR → "-12.50": for files and fields."""
    digits = CURRENCIES.get(currency, 2)
    whole, part = divmod(abs(amount), 10**digits)
    return f"{'-' if amount < 0 else ''}{whole}{f'.{part:0{digits}d}' if digits else ''}"


def say(amount: int, currency: str) -> str:
    """-1250 EUR → "−12.50 EUR", with the reader's own signs."""
    whole, _point, part = plain(abs(amount), currency).partition(".")
    grouped = re.sub(r"(?<=\d)(?=(\d{3})+$)", get_format("THOUSAND_SEPARATOR"), whole)
    shown = grouped + (get_format("DECIMAL_SEPARATOR") + part if part else "")
    return f"{'−' if amount < 0 else ''}{shown}\u00a0{currency}"


def read_amount(text: object, currency: str, *, name: str) -> int:
    """Minor units of "12.50" or "12,5"; Refusal for what is no amount of `currency`."""
    digits = CURRENCIES.get(currency, 2)
    said = str(text).strip().replace("−", "-").replace(",", ".")
    found = re.fullmatch(r"(-?)([0-9]{1,9})(?:\.([0-9]+))?", said, re.ASCII)
    if found is None or len(found[3] or "") > digits:
        example = plain(1250 if digits == 2 else 12500, currency)
        raise Refusal(
            _("{name} must be an amount in {currency} such as {example}, without thousands separators.").format(
                name=name, currency=currency, example=example
            )
        )
    value = int(found[2]) * 10**digits + int((found[3] or "").ljust(digits, "0") or "0")
    return -value if found[1] else value
