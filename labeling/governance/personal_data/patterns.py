"""Recognisers by pattern, check digit and cue: each a function from a text to its spans."""

from __future__ import annotations

import ipaddress
import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import phonenumbers

from labeling.governance.personal_data.spans import Span


def plain_of(text: str) -> str:
    """`text` with every character in its plain form, one for one, so that spans in one are spans in the other."""
    return text if text.isascii() else text.translate(_plain_table())


@cache
def _plain_table() -> dict[int, str]:
    """Digits of every script, full-width letters, odd spaces and dashes, each to its plain twin."""
    table = {point: chr(point - 0xFEE0) for point in range(0xFF01, 0xFF5F)}
    for point in range(0x80, sys.maxunicode + 1):
        character = chr(point)
        category = unicodedata.category(character)
        if category == "Nd":
            table[point] = str(unicodedata.decimal(character))
        elif category == "Zs":
            table[point] = " "
        elif category == "Pd":
            table[point] = "-"
    return table


def _before(text: str, start: int, length: int = 48) -> str:
    return text[max(0, start - length) : start]


# E-mail

_TLD = (
    r"(?:com|org|net|edu|gov|io|co|info|biz|me|dev|app|ai|de|fr|es|it|nl|uk|us|ca|au|in|ch|at|be|se|no|pl|eu|ru|br|jp"
    r"|cn)"
)
_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)
_AT = r"(?:\s{0,3}(?:\[\s?at\s?\]|\(\s?at\s?\)|\{\s?at\s?\}|<\s?at\s?>)\s{0,3}|\s{1,3}@\s{1,3})"
_DOT = r"(?:\s{0,3}(?:\[\s?dot\s?\]|\(\s?dot\s?\)|\{\s?dot\s?\}|<\s?dot\s?>)\s{0,3}|\s{1,3}dot\s{1,3}|\s?\.\s?)"
_EMAIL_HIDDEN = re.compile(
    rf"(?<![\w.+-])[\w+-]{{1,64}}(?:{_DOT}[\w+-]{{1,64}}){{0,3}}{_AT}"
    rf"[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,3}}{_DOT}{_TLD}\b",
    re.IGNORECASE,
)
_EMAIL_SPOKEN = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}(?:\s{1,3}dot\s{1,3}[\w+-]{1,64}){0,3}\s{1,3}at\s{1,3}"
    r"(?!(?:this|that|the|an?|my|your|our|any|some|every)\s)[\w-]{1,63}"
    rf"(?:\s{{1,3}}dot\s{{1,3}}[\w-]{{1,63}}){{0,3}}\s{{1,3}}dot\s{{1,3}}{_TLD}\b",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[Span]:
    """Addresses as they are written, with [at] and [dot], or spelled out in words."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            # A quote or bracket in front belongs to the sentence, not to the address.
            start = match.start() + len(match[0]) - len(match[0].lstrip("'`{|}*/=?^!#$%&.~-"))
            if text[start] != "@":
                yield Span("email", start, match.end(), 0.95, "email")
    folded = text.lower()
    if "dot" in folded or "at" in folded or "@" in text:
        for match in _EMAIL_HIDDEN.finditer(text):
            yield Span("email", match.start(), match.end(), 0.85, "email_hidden")
    if " dot " in folded:
        for match in _EMAIL_SPOKEN.finditer(text):
            yield Span("email", match.start(), match.end(), 0.7, "email_spoken")


# Telephone numbers

_PHONE_CUE = re.compile(
    r"\b(?:call|phone|telephone|tel|mobile|cell|cellphone|whatsapp|signal|fax|sms|text me|text|ring|dial|contact"
    r"|reach me|my number|number is|telefon\w*|handy|t[ée]l[ée]phone|appel\w*|m[óo]vil|celular|tel[ée]fono"
    r"|ll[áa]m\w*)\b",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<![\w.,/+=$€£#:-])(?:\+|\(\+?)?\d(?:[ ().\-/]{0,3}\d){6,16}(?![\w%]|[.,:/-]\d)")
_PHONE_NORTH_AMERICA = re.compile(
    r"(?<![\w.+/=$-])(?:(?:\+|00)?1[-. ]?)?(?:\(\d{3}\)[ -]?|\d{3}[-. ])\d{3}[-. ]\d{4}"
    r"(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?!\w|[-.]\d)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}|\d{4}\s?[-/]\s?\d{4}")
# Where a number in national form may be from, most spoken of first; one with +49 in front needs no list.
PHONE_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR", "MX", "PL", "CH", "AT", "SE", "JP")
# Asking every region's plan costs a millisecond a number: a text that is all numbers is asked about this many.
PHONES_LOOKED_UP = 100


def phones(text: str) -> Iterator[Span]:
    """Numbers that a telephone network would take: in international form, in North American groups, or near a cue."""
    for match in _PHONE_NORTH_AMERICA.finditer(text):
        yield Span("phone", match.start(), match.end(), 0.8, "phone_north_america")
    looked_up = 0
    for match in _PHONE.finditer(text):
        number = match[0]
        digits = re.sub(r"\D", "", number)
        if not 7 <= len(digits) <= 15 or len(set(digits)) < 3 or _DATE.match(number):
            continue
        # "3.14159265" and "1.000.000" are numbers, not telephones.
        if re.fullmatch(r"\d+[.]\d+|\d{1,3}(?:[. ]000)+", number):
            continue
        looked_up += 1
        score = _phone_score(text, match.start(), number, digits, look_up=looked_up <= PHONES_LOOKED_UP)
        if score:
            yield Span("phone", match.start(), match.end(), score, "phone")


def _phone_score(text: str, start: int, number: str, digits: str, *, look_up: bool) -> float:
    cue = bool(_PHONE_CUE.search(_before(text, start)))
    if number.lstrip("(").startswith("+") or number.startswith("00"):
        international = "+" + digits.removeprefix("00") if not number.lstrip("(").startswith("+") else "+" + digits
        # "+44 (0)20 …": the zero in brackets is dropped when dialling from abroad.
        international = international if "(0)" not in number else "+" + re.sub(r"\D", "", number.replace("(0)", ""))
        return 0.9 if _valid(international, None) else 0.55 if cue else 0.0
    separated = len(re.findall(r"\d+", number)) > 1
    known = look_up and (cue or digits.startswith("0")) and any(_valid(number, region) for region in PHONE_REGIONS)
    if cue:
        return 0.8 if known else 0.6 if separated or len(digits) >= 9 else 0.0
    return 0.6 if known and separated else 0.0


def _valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


# Money

_CARD = re.compile(r"(?<![\w.,+-])\d(?:[ -]?\d){12,18}(?![\w]|[.,-]\d)")
# First digits and lengths of the issuers' numbers: Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay.
_CARD_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|2720\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011\d{12}|4[4-9]\d{13}|5\d{14})|62\d{14,17}"
)


def luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1): every second digit from the right doubled, the sum in tens."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def cards(text: str) -> Iterator[Span]:
    """Payment-card numbers of 13 to 19 digits with an issuer's first digits and length and a right check digit."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _CARD_ISSUED.fullmatch(digits) and luhn(digits):
            yield Span("credit_card", match.start(), match.end(), 0.95, "credit_card")


# Length of an IBAN by country (ISO 13616 registry).
_IBAN_LENGTH = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
_IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")


def ibans(text: str) -> Iterator[Span]:
    """Bank accounts (ISO 13616) of their country's length, whose check digits are right modulo 97."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTH.get(match[0][:2].upper())
        if length is None:
            continue
        # The pattern may run on into the next words: the country says where the number ends.
        places = [index for index, character in enumerate(match[0]) if character.isalnum()]
        if len(places) < length:
            continue
        end = places[length - 1] + 1
        account = "".join(match[0][index] for index in places[:length]).upper()
        after = text[match.start() + end : match.start() + end + 1]
        if not after.isalnum() and int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1:
            yield Span("iban", match.start(), match.start() + end, 0.95, "iban")


# Numbers that a state gives a person

_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}([- ]?)(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])")
_SSN_CUE = re.compile(r"\bssn\b|social security", re.IGNORECASE)
_NINO = re.compile(r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b")
_ID_NUMBER = re.compile(
    r"\b(?:passport|driver'?s? licen[cs]e|driving licen[cs]e|national id|identity card|id card|insurance|tax id|patient"
    r"|medical record)(?: (?:number|no\.?|id|#))?(?:\s?(?:is|:|=|#)){1,2}\s{0,3}"
    r"((?=[A-Z0-9-]{0,15}\d{4})[A-Z0-9][A-Z0-9-]{5,17})\b",
    re.IGNORECASE,
)


def state_numbers(text: str) -> Iterator[Span]:
    """US social security numbers, UK national insurance numbers, and other numbers that a cue names."""
    for match in _SSN.finditer(text):
        cue = bool(_SSN_CUE.search(_before(text, match.start())))
        if match[1] == "-" or cue:
            yield Span("us_ssn", match.start(), match.end(), 0.95 if cue else 0.75, "us_ssn")
    for match in _NINO.finditer(text):
        yield Span("uk_nino", match.start(), match.end(), 0.7, "uk_nino")
    for match in _ID_NUMBER.finditer(text):
        yield Span("id_number", match.start(1), match.end(1), 0.75, "id_number")


# Network addresses

_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{1,4}(?![\w:])")
_VERSION_CUE = re.compile(
    r"\b(?:version|ver|v|release|build|section|chapter|firmware|driver)\.?\s{0,2}$", re.IGNORECASE
)


def addresses_of_machines(text: str) -> Iterator[Span]:
    """IP addresses that lead to one machine in the open network; private and documentation ones lead nowhere."""
    for pattern, kind in ((_IPV4, "ipv4"), (_IPV6, "ipv6")):
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            before = _before(text, match.start())
            if _VERSION_CUE.search(before):
                continue
            cue = re.search(r"\bip\b|\baddress\b|\bserver\b|\bhost\b", before, re.IGNORECASE)
            score = (0.8 if cue else 0.55) if address.is_global else 0.3 if cue else 0.1
            yield Span("ip_address", match.start(), match.end(), score, kind)


# What opens accounts

_SECRET = re.compile(
    r"(?<![\w-])(?:"
    r"sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,200}"
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,100}"
    r"|gh[pousr]_[A-Za-z0-9]{30,100}|github_pat_[A-Za-z0-9_]{30,100}|glpat-[A-Za-z0-9_-]{20,60}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,200}"
    r"|hf_[A-Za-z0-9]{30,60}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,250}"
    r"|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"
    r"|eyJ[A-Za-z0-9_-]{8,1000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,1000}"
    r")(?![\w-])"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----"
    r"(?:[\s\S]{0,8000}?-----END (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----)?"
)
_KEY_CUE = re.compile(
    r"\b(?:api[ _-]?key|api[ _-]?token|access[ _-]?key|access[ _-]?token|auth[ _-]?token|secret[ _-]?key"
    r"|client[ _-]?secret|bearer|token|secret)[\"']?(?:\s{0,3}(?:is|[:=]))?\s{0,3}[\"']?([A-Za-z0-9_\-+/=.]{16,200})",
    re.IGNORECASE,
)
_PASSWORD_CUE = re.compile(
    r"(?:\bmy (?:\w{1,20} ){0,2}(?:password|passcode|pin)(?: is|:)|\b(?:password|passwd|pwd)\s{0,2}[:=])"
    r"\s{0,3}[\"']?([^\s\"'<>{}()\[\]]{4,64})",
    re.IGNORECASE,
)
_URL_LOGIN = re.compile(r"(?<!\w)[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s/:@]{1,100}:[^\s/@]{1,100}@[\w.-]{1,200}")


def entropy(text: str) -> float:
    """Bits per character, from how often each occurs in `text`."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def secrets(text: str) -> Iterator[Span]:
    """Keys of known makes, random strings called a key, passwords told, and addresses with a login in them."""
    for match in _SECRET.finditer(text):
        if len(set(match[0])) > 8:  # "sk-xxxxxxxxxxxxxxxxxxxx" only shows where a key would go
            yield Span("secret", match.start(), match.end(), 0.95, "secret_known")
    if "PRIVATE KEY-----" in text:
        for match in _PRIVATE_KEY.finditer(text):
            yield Span("secret", match.start(), match.end(), 0.95, "private_key")
    for match in _KEY_CUE.finditer(text):
        value = match[1]
        if entropy(value) >= 3.0 and re.search(r"\d", value) and re.search(r"[A-Za-z]", value):
            yield Span("secret", match.start(1), match.end(1), 0.75, "secret_random")
    for match in _PASSWORD_CUE.finditer(text):
        value = match[1].rstrip(".,;!?")
        if len(value) >= 4 and re.search(r"[\d!@#$%^&*]", value):
            yield Span("password", match.start(1), match.start(1) + len(value), 0.7, "password")
    if "://" in text:
        for match in _URL_LOGIN.finditer(text):
            yield Span("url_login", match.start(), match.end(), 0.96, "url_login")


# Where somebody lives

_STREET_WORD = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Ter"
    r"|Circle|Cir|Highway|Hwy|Parkway|Pkwy|Crescent|Close|Trail|Trl|Alley|Loop|Mews)"
)
_UNIT = r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.?\s?#?\w{1,6})?"
_TOWN = r"(?:,?\s{1,2}[A-Z][\w'.-]{1,30}(?:\s[A-Z][\w'.-]{1,30}){0,2},?\s[A-Z]{2}\s\d{5}(?:-\d{4})?)?"
_STREET = re.compile(
    r"(?<![\w.,$€£-])\d{1,5}[A-Za-z]?\s(?:[NSEW]\.?\s|North\s|South\s|East\s|West\s)?(?:[A-Z0-9][\w'.-]{0,30}\s){1,3}"
    rf"{_STREET_WORD}\b\.?{_UNIT}{_TOWN}"
)
_STREET_ANY_CASE = re.compile(
    r"(?:\blive[sd]? (?:at|in|on)|\baddress(?: is|:)|\bdeliver\w* to|\bship\w* to|\bresid\w* at)\s{1,3}"
    rf"(\d{{1,5}}[a-z]?\s(?:[\w'.-]{{1,30}}\s){{1,4}}{_STREET_WORD}\b)",
    re.IGNORECASE,
)
_STREET_GERMAN = re.compile(
    r"\b[A-ZÄÖÜ][\wäöüß-]{2,30}(?:straße|strasse|str\.|weg|platz|allee|gasse|ufer|damm)\s\d{1,4}\s?[a-z]?\b"
    r"(?:,?\s\d{5}\s[A-ZÄÖÜ][\wäöüß-]{1,30})?"
)
_STREET_ROMANCE = re.compile(
    r"(?<![\w.,])\d{1,4}(?:\s?(?:bis|ter))?,?\s(?:rue|avenue|boulevard|place|chemin|impasse|allée|quai)\s"
    r"(?:de\sla\s|de\sl'|des\s|du\s|de\s|d'|la\s|le\s|l')?[A-ZÉÈÀ][\w'é-]{1,30}(?:[\s-][A-ZÉÈÀ][\w'é-]{1,30}){0,3}"
    r"|\b(?:Calle|Avenida|Via|Piazza|Rua)\s(?:[\w'.-]{1,30}\s){0,4}[A-Z][\w'.-]{1,30},?\s(?:n\.?º?\s?)?\d{1,4}\b"
)
_POST_BOX = re.compile(r"\bP\.?\s?O\.?\s?Box\s\d{1,7}\b", re.IGNORECASE)


def homes(text: str) -> Iterator[Span]:
    """Street addresses in English, German, French, Spanish and Italian order."""
    for match in _STREET.finditer(text):
        yield Span("address", match.start(), match.end(), 0.7, "street")
    for match in _STREET_ANY_CASE.finditer(text):
        yield Span("address", match.start(1), match.end(1), 0.7, "street_with_cue")
    for pattern in (_STREET_GERMAN, _STREET_ROMANCE):
        for match in pattern.finditer(text):
            yield Span("address", match.start(), match.end(), 0.6, "street_european")
    for match in _POST_BOX.finditer(text):
        yield Span("address", match.start(), match.end(), 0.6, "post_box")


# Who somebody is

_NAME_WORD = r"[^\W\d_a-zà-öø-ÿ][^\W\d_]{1,30}(?:['’-][^\W\d_]{1,30}){0,2}"
_NAME_TOLD = re.compile(
    r"(?:\b[Mm]y (?:full |legal |real )?name(?:'s|’s| is|:)|\b[Ii]ch hei(?:ß|ss)e|\b[Mm]ein Name ist"
    r"|\b[Jj]e m['’]appelle|\b[Mm]e llamo|\b[Mm]i chiamo|\b[Mm]eu nome é)\s{1,3}"
    rf"({_NAME_WORD}(?:\s(?:[A-Z]\.|(?:van|von|de|der|den|la|bin|al)|{_NAME_WORD})){{0,4}})"
)
_NAME_SIGNED = re.compile(
    r"\b(?:[Rr]egards|[Ss]incerely(?: yours)?|[Yy]ours (?:truly|sincerely|faithfully)|[Cc]heers|[Gg]rüßen?"
    r"|[Cc]ordialement),?[ \t]{0,3}\r?\n\s{0,6}"
    rf"({_NAME_WORD}(?:[ ](?:[A-Z]\.|{_NAME_WORD})){{1,2}})"
)


def names(text: str) -> Iterator[Span]:
    """The name of somebody who introduces themselves or signs a letter. One word alone is most often a part played."""
    for match in _NAME_TOLD.finditer(text):
        full = len(match[1].split()) > 1
        yield Span("person_name", match.start(1), match.end(1), 0.75 if full else 0.4, "name_told")
    for match in _NAME_SIGNED.finditer(text):
        yield Span("person_name", match.start(1), match.end(1), 0.65, "name_signed")


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_BIRTH_DATE = re.compile(
    r"(?:\bi(?: was|'m|’m| am) born(?: on)?|\bmy (?:date of birth|birth ?date|birthday|dob)(?: is|:)?(?: on)?"
    r"|\b(?:date of birth|d\.?o\.?b\.?|birth ?date)\s?(?:is|:|=|-)"
    r"|\bich (?:bin|wurde) am|\bgeboren am|\bnée? le|\bnac[ií] el)\s{0,3}(?:the\s)?"
    r"(\d{1,4}[-./]\d{1,2}[-./]\d{1,4}"
    r"|\d{1,2}(?:st|nd|rd|th|\.)?\s(?:of\s)?[^\W\d_]{3,10}\.?,?\s\d{4}"
    rf"|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?,?\s\d{{4}})",
    re.IGNORECASE,
)


def birth_dates(text: str) -> Iterator[Span]:
    """A date that somebody calls their own birthday; the birthdays of others are history."""
    for match in _BIRTH_DATE.finditer(text):
        yield Span("birth_date", match.start(1), match.end(1), 0.8, "birth_date")


RECOGNISERS: tuple[Callable[[str], Iterator[Span]], ...] = (
    emails,
    phones,
    cards,
    ibans,
    state_numbers,
    addresses_of_machines,
    secrets,
    homes,
    names,
    birth_dates,
)
