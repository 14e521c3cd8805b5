"""Made-up values of every kind, by Faker and by formats of our own, each from one seeded source of randomness."""

from __future__ import annotations

import base64
import hashlib
import random
import string
from collections.abc import Callable

from faker import Faker

# Halves speak for different countries, so that the unseen half is unseen in this too.
LOCALES = {
    "a": ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "en_IN"),
    "b": ("en_US", "en_CA", "en_AU", "en_IE", "it_IT", "nl_NL", "pt_BR", "pl_PL", "sv_SE", "es_MX", "de_AT"),
}
LETTERS, DIGITS = string.ascii_letters, string.digits
BASE64URL = LETTERS + DIGITS + "-_"
HEX = "0123456789abcdef"


class Personal:
    """Values of one half (a or b): `make(kind)` gives the words for the cue, if the kind has some, and the value."""

    def __init__(self, half: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.faker = {locale: Faker(locale) for locale in LOCALES[half]}
        for index, faker in enumerate(self.faker.values()):
            faker.seed_instance(seed + index)
        self.us = self.faker["en_US"]
        self.made: dict[str, Callable[[], str | tuple[str, str]]] = {
            name.removeprefix("_make_"): getattr(self, name) for name in dir(self) if name.startswith("_make_")
        }

    def make(self, kind: str) -> tuple[str, str]:
        """(what such a number is called or "", the value)"""
        made = self.made[kind]()
        return made if isinstance(made, tuple) else ("", made)

    def chars(self, alphabet: str, length: int) -> str:
        return "".join(self.rng.choice(alphabet) for _ in range(length))

    def shape(self, pattern: str) -> str:
        """`#` a digit, `?` a capital letter, the rest as it is."""
        return "".join(
            self.rng.choice(DIGITS) if c == "#" else self.rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") if c == "?" else c
            for c in pattern
        )

    def any_faker(self, foreign: float = 0.4) -> Faker:
        """Mostly English-speaking, as prompts are."""
        english = [f for locale, f in self.faker.items() if locale.startswith("en_") and locale != "en_IN"]
        return self.rng.choice(list(self.faker.values()) if self.rng.random() < foreign else english)

    def _make_person_name(self) -> str:
        faker = self.any_faker(0.3)
        name = f"{faker.first_name()} {faker.last_name()}"
        turn = self.rng.random()
        if turn < 0.12:
            first, _, last = name.partition(" ")
            name = f"{first} {self.rng.choice('ABCDEFGHJKLMRST')}. {last}"
        elif turn < 0.16:
            name = name.upper()
        return name

    def _make_email(self) -> str:
        faker = self.any_faker()
        return self.rng.choice(
            [
                lambda: faker.free_email(),
                lambda: faker.company_email().replace("example", "contoso-mail"),
                lambda: f"{faker.user_name()}+{faker.word()}@{faker.free_email_domain()}",
                lambda: f"{self.us.first_name()}.{self.us.last_name()}@{self.us.domain_word()}.co.uk",
                lambda: faker.free_email().upper(),
            ]
        )()

    def _make_email_obfuscated(self) -> str:
        user = self.rng.choice([self.us.user_name(), f"{self.us.first_name()}.{self.us.last_name()}".lower()])
        name, _, end = self.us.free_email_domain().partition(".")
        at = self.rng.choice([" [at] ", " (at) ", "[at]", " at ", "(at)", " {at} ", " AT ", " @ ", "_at_"])
        dot = {" at ": " dot ", " AT ": " DOT ", " @ ": " . ", "_at_": "_dot_"}.get(at)
        return f"{user}{at}{name}{dot or self.rng.choice([' [dot] ', ' (dot) ', '[dot]', '(dot)', ' dot ', '.'])}{end}"

    def _make_phone(self) -> str:
        area, middle, last = self.rng.randint(201, 989), self.rng.randint(200, 999), self.rng.randint(0, 9999)
        while area % 100 == 11 or area in (555, 370, 960):
            area = self.rng.randint(201, 989)
        north = (f"{area}", f"{middle}", f"{last:04d}")
        formats = ["({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "{} {} {}", "+1 {} {} {}", "+1-{}-{}-{}", "+1{}{}{}"]
        formats += ["1-{}-{}-{}", "{}{}{}", "({}){}-{}", "1 ({}) {}-{}", "+1 ({}) {}-{}", "001-{}-{}-{}"]
        if self.rng.random() < 0.5:
            return self.rng.choice(formats).format(*north)
        if self.rng.random() < 0.5:
            return self.any_faker(1.0).phone_number()
        return self.shape(
            self.rng.choice(
                [
                    "+44 20 7### ####", "07### ######", "+49 151 ########", "0151 ########", "+33 6 ## ## ## ##",
                    "06 ## ## ## ##", "+91 98### #####", "+61 4## ### ###", "04## ### ###", "+39 347 ### ####",
                    "+34 6## ### ###", "+55 11 9####-####", "+81 90-####-####", "+86 138 #### ####",
                    "+31 6 ########", "+48 6## ### ###", "+46 70 ### ## ##", "+41 79 ### ## ##", "(0#0) 7### ####",
                ]
            )
        )  # fmt: skip

    def _make_address(self) -> str:
        us, rng = self.us, self.rng
        street = us.street_address().replace("\n", ", ")
        turn = rng.random()
        if turn < 0.3:
            return f"{street}, {us.city()}, {us.state_abbr()} {us.zipcode()}"
        if turn < 0.4:
            return f"{street}, {us.city()}"
        if turn < 0.5:
            return f"{street}\n{us.city()}, {us.state_abbr()} {us.zipcode()}"
        if turn < 0.6:
            return f"{street}, {us.city()}, {us.state()} {us.zipcode()}".lower()
        if turn < 0.65:
            return us.street_address().replace("\n", ", ")
        return self.any_faker(0.8).address().replace("\n", rng.choice([", ", ", ", "\n"]))

    def _make_iban(self) -> str:
        iban = self.any_faker(1.0).iban()
        return self.rng.choice([iban, " ".join(iban[i : i + 4] for i in range(0, len(iban), 4)), iban.lower()])

    def _make_credit_card(self) -> str:
        number = self.rng.choice(
            [
                lambda: self.us.credit_card_number(self.rng.choice(["visa16", "mastercard", "amex", "discover"])),
                lambda: self.luhn(f"{self.rng.randint(2221, 2720)}{self.chars(DIGITS, 11)}"),
                lambda: self.luhn(f"4{self.chars(DIGITS, 14)}"),
                lambda: self.luhn(f"35{self.rng.randint(28, 89)}{self.chars(DIGITS, 11)}"),
            ]
        )()
        groups = [number[:4], number[4:10], number[10:]] if len(number) == 15 else [number[:4], number[4:8]]
        groups += [number[8:12], number[12:]] if len(number) != 15 else []
        return self.rng.choice(["", " ", "-", " ", "."] if self.rng.random() < 0.9 else ["  "]).join(groups)

    def luhn(self, digits: str) -> str:
        total = sum(sum(divmod(int(d) * (2 if index % 2 == 0 else 1), 10)) for index, d in enumerate(reversed(digits)))
        return digits + str(-total % 10)

    def _make_us_ssn(self) -> str:
        ssn = self.us.ssn()
        return self.rng.choice([ssn, ssn, ssn.replace("-", " ")])

    def _make_national_id(self) -> tuple[str, str]:
        rng = self.rng

        def weighted(weights: list[int], digits: str) -> int:
            return sum(w * int(d) for w, d in zip(weights, digits, strict=False))

        def dni() -> str:
            digits = self.chars(DIGITS, 8)
            return digits + rng.choice(["", "-"]) + "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23]

        def cpf() -> str:
            digits = self.chars(DIGITS, 9)
            for length in (10, 11):
                digits += str(weighted(list(range(length, 1, -1)), digits) * 10 % 11 % 10)
            return rng.choice([digits, f"{digits[:3]}.{digits[3:6]}.{digits[6:9]}-{digits[9:]}"])

        def pesel() -> str:
            digits = f"{rng.randint(40, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{self.chars(DIGITS, 4)}"
            return digits + str(-weighted([1, 3, 7, 9, 1, 3, 7, 9, 1, 3], digits) % 10)

        def bsn() -> str:
            while True:
                digits = self.chars(DIGITS, 8)
                check = weighted(list(range(9, 1, -1)), digits) % 11
                if check < 10:
                    return digits + str(check)

        def sin() -> str:
            number = self.luhn(rng.choice("1234567") + self.chars(DIGITS, 7))
            return rng.choice([" ", "-"]).join((number[:3], number[3:6], number[6:]))

        def nhs() -> str:
            while True:
                digits = self.chars(DIGITS, 9)
                check = -weighted(list(range(10, 1, -1)), digits) % 11
                if check < 10:
                    return f"{digits[:3]} {digits[3:6]} {digits[6:]}{check}"

        def tfn() -> str:
            while True:
                digits = self.chars("123456789", 9)
                if weighted([1, 4, 3, 7, 5, 8, 6, 9, 10], digits) % 11 == 0:
                    return f"{digits[:3]} {digits[3:6]} {digits[6:]}"

        def personnummer() -> str:
            digits = f"{rng.randint(40, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{self.chars(DIGITS, 3)}"
            return f"{digits[:6]}-{self.luhn(digits)[6:]}"

        def codice() -> str:
            return self.faker["it_IT"].ssn() if "it_IT" in self.faker else "RSSMRA85T10A562S"

        def nir() -> str:
            digits = f"{rng.choice('12')}{rng.randint(40, 99)}{rng.randint(1, 12):02d}{self.shape('75###' + '###')}"
            return digits + f"{97 - int(digits) % 97:02d}"

        def aadhaar() -> str:
            return "{} {} {}".format(self.shape("4###"), self.shape("####"), self.shape("####"))

        return rng.choice(
            [
                lambda: (rng.choice(["DNI", "documento nacional"]), dni()),
                lambda: ("CPF", cpf()),
                lambda: ("PESEL", pesel()),
                lambda: (rng.choice(["BSN", "burgerservicenummer"]), bsn()),
                lambda: (rng.choice(["SIN", "social insurance number"]), sin()),
                lambda: (rng.choice(["NHS number", "NHS no."]), nhs()),
                lambda: (rng.choice(["TFN", "tax file number"]), tfn()),
                lambda: ("personnummer", personnummer()),
                lambda: ("codice fiscale", codice()),
                lambda: (rng.choice(["numéro de sécurité sociale", "NIR"]), nir()),
                lambda: ("Aadhaar", aadhaar()),
                lambda: ("PAN", self.shape("???P?####?")),
                lambda: (rng.choice(["national insurance number", "NI number"]), self.shape("AB######C")),
                lambda: (rng.choice(["ITIN", "taxpayer id"]), self.shape("9##-7#-####")),
                lambda: (rng.choice(["national ID", "identity card number"]), self.shape("?########")),
                lambda: (rng.choice(["NRIC", "FIN"]), self.shape("S#######D")),
            ]
        )()

    def _make_passport(self) -> str:
        return self.rng.choice(
            [self.us.passport_number(), self.shape("?########"), self.shape("#########"), self.shape("C01X00T47"),
             self.shape("??#######"), self.shape("?#######"), self.shape("##??#####")]
        )  # fmt: skip

    def _make_driving_licence(self) -> str:
        return self.shape(
            self.rng.choice(
                ["?#######", "?###-####-####", "MORGA######SM9IJ", "########", "??##-########", "?########"]
            )
        )

    def _make_birth_date(self) -> str:
        day = self.us.date_of_birth(minimum_age=18, maximum_age=90)
        formats = ["%m/%d/%Y", "%d.%m.%Y", "%Y-%m-%d", "%B %d, %Y", "%d %B %Y", "%b %d %Y", "%d/%m/%Y", "%d %b %Y"]
        formats += ["%m-%d-%Y", "%B %dth, %Y", "the %dth of %B %Y", "%m/%d/%y", "%d-%b-%Y"]
        written = day.strftime(self.rng.choice(formats))
        return written.lower() if self.rng.random() < 0.15 else written

    def _make_ip_address(self) -> str:
        return self.us.ipv4_public() if self.rng.random() < 0.75 else f"2a02:{self.us.ipv6()[5:]}"

    def _make_mac_address(self) -> str:
        address = self.us.mac_address()
        return self.rng.choice([address, address.upper(), address.replace(":", "-")])

    def _make_api_key(self) -> str:
        c = self.chars
        return self.rng.choice(
            [
                lambda: "sk-" + c(LETTERS + DIGITS, 48),
                lambda: "sk-proj-" + c(BASE64URL, 74) + "T3BlbkFJ" + c(BASE64URL, 74),
                lambda: "sk-ant-api03-" + c(BASE64URL, 93) + "AA",
                lambda: "AKIA" + c(string.ascii_uppercase + "234567", 16),
                lambda: "ghp_" + c(LETTERS + DIGITS, 36),
                lambda: "github_pat_" + c(LETTERS + DIGITS, 22) + "_" + c(LETTERS + DIGITS, 59),
                lambda: "glpat-" + c(BASE64URL, 20),
                lambda: "AIza" + c(BASE64URL, 35),
                lambda: f"xoxb-{c(DIGITS, 12)}-{c(DIGITS, 12)}-{c(LETTERS + DIGITS, 24)}",
                lambda: "https://hooks.slack.com/services/T" + c(string.ascii_uppercase, 8) + "/B"
                + c(string.ascii_uppercase, 8) + "/" + c(LETTERS + DIGITS, 24),
                lambda: "sk_live_" + c(LETTERS + DIGITS, 24),
                lambda: "rk_live_" + c(LETTERS + DIGITS, 24),
                lambda: "whsec_" + c(LETTERS + DIGITS, 32),
                lambda: "SG." + c(BASE64URL, 22) + "." + c(BASE64URL, 43),
                lambda: "hf_" + c(LETTERS, 34),
                lambda: "npm_" + c(LETTERS + DIGITS, 36),
                lambda: "pypi-AgEIcHlwaS5vcmc" + c(BASE64URL, 90),
                lambda: "AC" + c(HEX, 32),
                lambda: "key-" + c(HEX, 32),
                lambda: "dop_v1_" + c(HEX, 64),
                lambda: "shpat_" + c(HEX, 32),
                lambda: "EAACEdEose0cBA" + c(LETTERS + DIGITS, 90),
                lambda: "ya29." + c(BASE64URL, 68),
                lambda: c(DIGITS, 10) + ":AA" + c(BASE64URL, 33),
                lambda: "gsk_" + c(LETTERS + DIGITS, 52),
                lambda: "r8_" + c(LETTERS + DIGITS, 37),
                lambda: "pplx-" + c(HEX, 48),
                lambda: "xai-" + c(LETTERS + DIGITS, 80),
                lambda: "hvs." + c(BASE64URL, 90),
                lambda: "dckr_pat_" + c(BASE64URL, 27),
                lambda: "lin_api_" + c(LETTERS + DIGITS, 40),
                lambda: "NRAK-" + c(string.ascii_uppercase + DIGITS, 27),
                lambda: "sq0atp-" + c(BASE64URL, 22),
                lambda: "glsa_" + c(LETTERS + DIGITS, 32) + "_" + c(HEX, 8),
                lambda: "PMAK-" + c(HEX, 24) + "-" + c(HEX, 34),
                lambda: self.jwt(),
                lambda: "-----BEGIN RSA PRIVATE KEY-----\n"
                + "\n".join(c(LETTERS + DIGITS + "+/", 64) for _ in range(4)) + "\n-----END RSA PRIVATE KEY-----",
            ]
        )()  # fmt: skip

    def jwt(self) -> str:
        def part(text: str) -> str:
            return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

        claims = part(f'{{"sub":"{self.chars(DIGITS, 10)}"}}')
        return ".".join((part('{"alg":"HS256","typ":"JWT"}'), claims, self.chars(BASE64URL, 43)))

    def _make_random_secret(self) -> str:
        return self.rng.choice(
            [
                lambda: self.chars(LETTERS + DIGITS, self.rng.randint(28, 64)),
                lambda: self.chars(LETTERS + DIGITS, 40),
                lambda: self.chars(BASE64URL, self.rng.randint(30, 50)),
                lambda: base64.b64encode(self.rng.randbytes(32)).decode(),
            ]
        )()

    def _make_password(self) -> str:
        return self.rng.choice(
            [
                lambda: self.us.password(length=self.rng.randint(8, 16)),
                lambda: f"{self.us.word().title()}{self.rng.randint(1, 9999)}!",
                lambda: f"{self.us.first_name()}{self.rng.randint(1950, 2020)}",
                lambda: f"{self.us.word()}{self.us.word()}{self.rng.randint(1, 99)}",
                lambda: self.shape("?#?#?###"),
            ]
        )()

    def _make_url_login(self) -> str:
        user, word = self.us.user_name(), self.chars(LETTERS + DIGITS, 12)
        return self.rng.choice(
            [
                f"https://{user}:{word}@git.{self.us.domain_word()}.com/repo.git",
                f"postgres://{user}:{word}@db.{self.us.domain_word()}.net:5432/main",
                f"mongodb+srv://{user}:{word}@cluster0.{self.us.domain_word()}.mongodb.net/test",
                f"redis://:{word}@cache.{self.us.domain_word()}.com:6379/0",
                f"ftp://{user}:{word}@ftp.{self.us.domain_word()}.org/",
                f"mysql+pymysql://{user}:{word}@10.0.0.5/shop",
                f"amqp://{user}:{word}@mq.{self.us.domain_word()}.com:5672//",
            ]
        )

    def _make_licence_plate(self) -> str:
        return self.any_faker().license_plate()

    def _make_vin(self) -> str:
        return self.us.vin()

    def _make_medical_id(self) -> str:
        return self.shape(self.rng.choice(["########", "#######", "??-######", "MRN-#######", "##-##-##"]))

    def _make_bank_account(self) -> tuple[str, str]:
        return self.rng.choice(
            [
                lambda: (self.rng.choice(["account number", "bank account"]), self.shape("##########")),
                lambda: ("checking account", self.shape("############")),
                lambda: ("routing number", self.us.aba()),
                lambda: ("sort code and account number", self.shape("##-##-## ########")),
                lambda: ("BSB", self.shape("###-### #########")),
                lambda: ("acct", self.shape("########")),
            ]
        )()

    def _make_username(self) -> str:
        name = self.us.user_name()
        return self.rng.choice(
            [f"@{name}", f"{name}_{self.rng.randint(1, 99)}", f"@{name}{self.rng.randint(1, 999)}", f"xX_{name}_Xx",
             f"{name}#{self.rng.randint(1000, 9999)}"]
        )  # fmt: skip

    def _make_crypto_wallet(self) -> str:
        base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
        bech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
        return self.rng.choice(
            [lambda: "0x" + self.chars(HEX, 40), lambda: "bc1q" + self.chars(bech32, 38), lambda: self.p2pkh(base58)]
        )()

    def p2pkh(self, base58: str) -> str:
        """A bitcoin address with a right checksum (base58check)."""
        payload = b"\0" + self.rng.randbytes(20)
        payload += hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
        number, text = int.from_bytes(payload, "big"), ""
        while number:
            number, digit = divmod(number, 58)
            text = base58[digit] + text
        return "1" + text

    def _make_coordinates(self) -> str:
        latitude, longitude = self.rng.uniform(-60, 70), self.rng.uniform(-180, 180)
        return self.rng.choice(
            [f"{latitude:.6f}, {longitude:.6f}", f"{latitude:.5f},{longitude:.5f}",
             f"{abs(latitude):.4f}° {'SN'[latitude > 0]}, {abs(longitude):.4f}° {'WE'[longitude > 0]}"]
        )  # fmt: skip


FAMOUS = {
    "a": [
        "Albert Einstein", "Barack Obama", "Taylor Swift", "William Shakespeare", "Marie Curie", "Elon Musk",
        "Nelson Mandela", "Leonardo da Vinci", "Michael Jackson", "Martin Luther King", "Steve Jobs", "Bill Gates",
        "Donald Trump", "Isaac Newton", "Charles Darwin", "Jane Austen", "Mark Twain", "Abraham Lincoln",
        "George Washington", "Stephen Hawking", "Alan Turing", "Freddie Mercury", "Angela Merkel", "Bob Dylan",
    ],
    "b": [
        "Rosa Parks", "Ada Lovelace", "Winston Churchill", "Charles Dickens", "Emily Dickinson", "Stephen King",
        "Tom Hanks", "Serena Williams", "Michael Jordan", "David Bowie", "Agatha Christie", "Thomas Jefferson",
        "Franz Kafka", "Virginia Woolf", "George Orwell", "Cristiano Ronaldo", "Hillary Clinton", "Joe Biden",
        "Ernest Hemingway", "Richard Feynman", "Oprah Winfrey", "Neil Armstrong", "Johnny Depp", "Robert Frost",
    ],
}  # fmt: skip
FICTIONAL = {
    "a": ["Harry Potter", "Sherlock Holmes", "Darth Vader", "Frodo Baggins", "Luke Skywalker", "Tony Stark",
          "Homer Simpson"],
    "b": ["Hermione Granger", "James Bond", "Peter Parker", "Bruce Wayne", "Elizabeth Bennet", "Jon Snow",
          "Katniss Everdeen"],
}  # fmt: skip
SCIENTISTS = {"a": ["Pythagoras", "Gauss", "Noether", "Bayes"], "b": ["Amedeo Avogadro", "Niels Bohr", "Max Planck"]}
PLACES = {
    "a": ["Paris", "New York", "San Diego", "St. Louis"],
    "b": ["Los Angeles", "Santiago", "Jackson, Mississippi", "Victoria"],
}
COMPANIES = {
    "a": ["Wells Fargo", "Ford", "Johnson & Johnson"],
    "b": ["Morgan Stanley", "Levi Strauss", "Harley Davidson"],
}
STREETS = {
    "a": ["Wall Street", "Fifth Avenue", "10 Downing Street"],
    "b": ["Abbey Road", "Times Square", "Rodeo Drive"],
}
WORKS = {"a": ["Moby Dick", "Anna Karenina", "Forrest Gump"], "b": ["Jane Eyre", "Oliver Twist", "The Great Gatsby"]}
PHONE_MODELS = {"a": ["iPhone 13", "Galaxy S21", "Pixel 7"], "b": ["RTX 3080", "Nokia 3310", "ThinkPad X1 Carbon 9"]}
PACKAGES = {"a": ["numpy", "django"], "b": ["torch", "left-pad"]}


class Harmless:
    """What looks like personal data and is nobody's: `fill(template)` puts it into the braces."""

    def __init__(self, half: str, seed: int) -> None:
        self.half, self.rng, self.faker = half, random.Random(seed), Faker("en_US")
        self.faker.seed_instance(seed)

    def fill(self, template: str) -> str:
        return template.format_map(_Made(self))

    def value(self, name: str) -> str:
        rng, faker = self.rng, self.faker
        lists = {
            "famous": FAMOUS, "fictional": FICTIONAL, "scientist": SCIENTISTS, "place": PLACES, "company": COMPANIES,
            "street_famous": STREETS, "work": WORKS, "phone_model": PHONE_MODELS, "package": PACKAGES,
        }  # fmt: skip
        if name in lists:
            return rng.choice(lists[name][self.half])
        made = {
            "version": lambda: rng.choice(["{}.{}.{}", "v{}.{}.{}", "{}.{}.{}.{}", "{}.{}"]).format(
                *(rng.randint(0, 40) for _ in range(4))
            ),
            "isbn": lambda: rng.choice([faker.isbn13(), faker.isbn10(), faker.isbn13().replace("-", "")]),
            "history": lambda: rng.choice(["July 4, 1776", "14 July 1789", "11/09/1989", "1066-10-14", "June 6, 1944"]),
            "sha1": lambda: faker.sha1()[: rng.choice([7, 8, 40])],
            "sha256": faker.sha256,
            "md5": faker.md5,
            "uuid": faker.uuid4,
            "order": lambda: rng.choice(["#{}", "{}", "ORD-{}", "2023-{}"]).format(rng.randint(10**5, 10**8)),
            "product": lambda: faker.bothify(
                rng.choice(["??-####", "###-###-??", "??##-####-###", "########"])
            ).upper(),
            "test_email": lambda: rng.choice(
                ["user@example.com", "test@example.org", "name@domain.com", "foo@bar.com"]
            ),
            "doc_ip": lambda: rng.choice(["192.168.1.10", "10.0.0.1", "127.0.0.1", "192.0.2.44", "203.0.113.7"]),
            "number": lambda: str(rng.randint(10 ** rng.randint(2, 8), 10**9)),
            "small": lambda: str(rng.randint(1, 400)),
            "colour": faker.hex_color,
            "date_plain": lambda: rng.choice([faker.date("%B %d"), faker.date("%d/%m/%Y"), faker.date("%d %B %Y")]),
            "date_iso": faker.date,
            "arxiv": lambda: faker.numerify("21##.0####"),
            "doi": lambda: faker.numerify("10.1038/s41586-021-0####-#"),
            "flight": lambda: faker.bothify("??###").upper(),
            "timestamp": lambda: str(rng.randint(1_500_000_000, 1_700_000_000)),
            "ean": faker.ean13,
        }
        return made[name]()


class _Made(dict):
    def __init__(self, harmless: Harmless) -> None:
        super().__init__()
        self.harmless = harmless

    def __missing__(self, name: str) -> str:
        return self.harmless.value(name)
