"""The kinds of personal data that the detector tells apart, with their names for readers."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# In the order in which lists show them.
KINDS: dict[str, str | Promise] = {
    "person_name": _("name of a person"),
    "username": _("user name or handle"),
    "email": _("e-mail address"),
    "phone": _("telephone number"),
    "address": _("street address"),
    "coordinates": _("place on the map"),
    "birth_date": _("date of birth"),
    "us_ssn": _("US social security or taxpayer number"),
    "uk_nino": _("UK national insurance number"),
    "passport": _("passport number"),
    "driving_licence": _("driving licence number"),
    "tax_id": _("tax number"),
    "medical_id": _("health or patient number"),
    "id_number": _("identity or account number"),
    "vehicle": _("number plate or vehicle number"),
    "iban": _("bank account (IBAN)"),
    "bank_account": _("bank account"),
    "credit_card": _("payment card"),
    "crypto_wallet": _("crypto wallet"),
    "ip_address": _("IP address"),
    "mac_address": _("MAC address"),
    "url_login": _("web address with a login"),
    "password": _("password or PIN"),
    "secret": _("key or token"),
}
