"""Personal data that has a form: addresses, phones, cards, accounts and the numbers that states give to people.

A number proves itself by its checksum, by its form, or by the words around it; most need two of the three, because honest text is
full of numbers. Names alone are not looked for: no list knows them all, and half the dictionary is somebody's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property

from gateway.guards import checksums
from gateway.guards.decode import View
from gateway.guards.findings import Finding, Sample, covered
from gateway.guards.patterns import Hit, Patterns

NEAR = 48  # characters around a number in which a word speaks for it

_ID = (
    r"(?i)(?:passport|pasaporte|reisepass|licen[cs]e|driver|führerschein|fahrerlaubnis|kennzeichen|social security|\bssn\b|\bsin\b|\bnas\b|national id|kimlik|personnummer|\bpnr\b"
    r"|pesel|\bnino\b|insurance|versicher|steuer|\btax\b|\bvat\b|ust-?id|\btin\b|\bnpi\b|\bmbi\b|\bnhs\b|medicare|aadhaar|voter|\bpan\b|gstin|\buen\b|\bfin\b|provider identifier"
    r"|\brsa id\b|\b(?:frn|rrn)\b|egk|\bid (?:code|number|card)|identity (?:code|card|number)|\b(?:your|my|his|her) id\b|as (?:your|my) id|company identity|patient|dni|\bnie\b|carta d'identità)"
)
_ID_WORD = re.compile(_ID)
_EDGE, _END = r"(?:^|[^A-Za-z0-9_.+/-])", r"(?:$|[^A-Za-z0-9_-])"
_PROPER = r"(?:O'|Mc|Mac|D')?\p{Lu}[\p{Ll}'-]+(?:-\p{Lu}\p{Ll}+)?"
_INTRODUCES = (
    r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Herr|Frau|Mme|Sr|Sra)\.? |(?i:my|his|her|their|our) (?i:kid|son|daughter|wife|husband|mother|father|brother|sister"
    r"|grandfather|grandmother|uncle|aunt|child|girlfriend|boyfriend|partner|colleague|boss|doctor|neighbou?r) |(?i:my name is|name(?:'s| is)|i am called|was called|is named) "
    r"|(?i:change (?:it|the name|my name) to|in the name of|on behalf of|directed by|written by|signed by|sincerely,|regards,)\s{1,4}|I(?:'m| am) "
)
_RULES = {
    "email": r"(?:^|[^A-Za-z0-9._%+@-])([A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,40}))(?:$|[^A-Za-z0-9@])",
    "card": rf"{_EDGE}(\d(?:[ -]?\d){{11,18}}){_END}",
    "iban": r"(?:^|[^A-Za-z0-9])((?i:[A-Z]{2}\d{2})(?:[ -]?[A-Za-z0-9]){11,32})",
    "us_ssn": rf"{_EDGE}(\d{{3}}[- ]\d{{2}}[- ]\d{{4}}){_END}",
    "phone": r"(?:^|[^A-Za-z0-9_.+/@#-])(\+?\(?\d[\d ().-]{4,20}\d|0\d{2,4}/ ?\d{5,9})(?:$|[^0-9A-Za-z_])",
    "digits": r"(?:^|[^A-Za-z0-9_.+/@#-]|[a-z])(\d{9,15})(?:$|[^0-9A-Za-z_])",
    "dashed": rf"{_EDGE}(\d{{6}}(?:\d{{2}})?[-+]\d{{4}}|\d{{6}}-\d{{7}}|\d{{4}} \d{{3,4}} \d{{3,4}}|\d{{3}}[ -]\d{{3}}[ -]\d{{3,4}}){_END}",
    "document": _ID,  # a word near which letters and figures are a document's number
    "finnish_id": rf"{_EDGE}(\d{{6}}[-+A-FU-Y]\d{{3}}[0-9A-Y]){_END}",
    "spanish_id": rf"(?i){_EDGE}((?:\d{{8}}|[XYZ]\d{{7}})-?[A-Z]){_END}",
    "german_licence": rf"{_EDGE}([A-Z]{{2}}\d{{8}}[A-Z0-9]){_END}",
    "german_pension": rf"{_EDGE}([0-9]{{2}}(?:0[1-9]|[12]\d|3[01]|5[1-9]|[67]\d|8[01])(?:0[1-9]|1[0-2])\d{{2}}[A-Z]\d{{3}}){_END}",
    "german_tax": rf"{_EDGE}(\d{{3}}/\d{{3,4}}/\d{{4,5}}){_END}",
    "german_register": r"(?i)(?:^|[^a-z])(hr[ab] ?\d{4,6})(?:$|[^0-9])",
    "singapore_fin": rf"{_EDGE}([STFGM]\d{{7}}[A-Z]){_END}",
    "indian_pan": rf"{_EDGE}([A-Z]{{3}}[ABCFGHJLPT][A-Z]\d{{4}}[A-Z]){_END}",
    "indian_gstin": rf"{_EDGE}((?:0[1-9]|[1-3]\d)[A-Z]{{5}}\d{{4}}[A-Z][1-9A-Z]Z[A-Z0-9]){_END}",
    "medicare_beneficiary": rf"(?i){_EDGE}([1-9][ac-hjkmnp-rt-y][ac-hjkmnp-rt-y0-9]\d-?[ac-hjkmnp-rt-y][ac-hjkmnp-rt-y0-9]\d-?[ac-hjkmnp-rt-y]{{2}}\d{{2}}){_END}",
    "uk_nino": r"(?i)(?:^|[^A-Za-z0-9])([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D])(?:$|[^A-Za-z0-9])",
    "plate": r"(?:^|[^A-Za-z0-9-])((?:[A-HJ-PR-Y]{2}(?:0[2-9]|[1-7]\d)[ -]?[A-HJ-PR-Z]{3}|[A-Z]{3}-\d{3}[A-Z]{2}))(?:$|[^A-Za-z0-9-])",
    # A field that holds nothing else.
    "plate_alone": r"(?i)^\s*((?:0[1-9]|[1-7]\d|8[01]) ?(?:[A-Z] ?\d{4}|[A-Z]{2} ?\d{3,4}|[A-Z]{3} ?\d{2,4})|[a-z]{3}-\d{3}[a-z]{2})\s*$",
    "plate_spoken": r"(?i)(?:plates?|kennzeichen|vehicle|fahrzeug|number plate)[ :]{1,3}([A-Z0-9]{1,3}[ -]?[A-Z]{1,3}[ -]?\d{1,4})(?:$|[^A-Za-z0-9-])",
    "military_post": r"(?i)(?:^|[^a-z])((?:[AFD]PO,? (?:AA|AE|AP) \d{5}|(?:PSC|Unit|CMR) \d{3,5},? Box \d{3,5}))",
    "address": r"(?i)(?:^|[^\w])((?:lives? (?:at|on)|live at|(?:new|my|home|mailing|billing|secondary|postal) address(?: is)?:?|moved to|apt\.?|suite) +#?\d{1,6}[^\n]{0,60})",
    "street": r"(?:^|[^\w])(\d{1,6} (?:[A-Z][\w'.-]+ ){1,4}(?:St|Street|Ave|Avenue|Rd|Road|Blvd|Boulevard|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Terrace)\b\.?[, \n]+[^\n]{0,40}\d{4,5})",
    "postcode": r"(?i)(?:post ?code|zip ?code|plz)[^\n]{0,12}?[ :]((?:[A-Z]{1,2}\d[A-Z0-9]? ?\d[A-Z]{2}|\d{5}(?:-\d{4})?))(?:$|[^A-Za-z0-9])",
    "italian_code": rf"(?i){_EDGE}([A-Z]{{6}}\d{{2}}[A-EHLMPRST](?:[04][1-9]|[1256]\d|[37][01])[A-MZ]\d{{3}}[A-Z]){_END}",
    "brazilian_cpf": rf"{_EDGE}(\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}){_END}",
    "italian_licence": rf"{_EDGE}([A-Z]{{2}}\d{{7}}[A-Z]|U1[B-DF-HJ-NPR-UW-Z0-9]{{7}}[A-Z]){_END}",
    # A name is a person's where the words before it say so.
    "person": rf"(?:^|[^A-Za-z])(?:{_INTRODUCES})({_PROPER}(?: {_PROPER}){{0,2}})",
    "ipv4_person": r"(?i)(?:client|user|visitor|remote)[ _-]?ip[\"']?\s*[:=]\s*[\"']?(\d{1,3}(?:\.\d{1,3}){3})",
}  # fmt: skip
_LETTERED = re.compile(
    r"(?:^|[^A-Za-z0-9_.+/@#=-])([A-Za-z0-9]{1,4}-?[A-Za-z0-9]{3,9}-?[A-Za-z0-9]{1,5})(?:$|[^A-Za-z0-9_@/=-])"
)

_PHONE_WORD = re.compile(
    r"(?i)\b(?:phone|tele(?:phone|fon|fono|pono)?|tel|mobile?|cell(?:ular)?|call(?:ed|ing)?|fax|sms|text(?:ed)? me|whatsapp|contact|dial|desk|office|cep|hotline|ring"
    r"|(?:us|uk|cn|br|israeli|international|my|your|his|her|registered)(?: [a-z]{2,12})? (?:number|one|no)|(?:answering|reach(?:ed)?|messages?) (?:me |us )?(?:at|to|on)|registered|office)\b"
)
_CARD_WORD = re.compile(
    r"(?i)\b(?:(?:credit|debit|bank)[ -]?card|card|visa|mastercard|amex|maestro|cc|account|payment)\b"
)
_DENIED = re.compile(
    r"(?i)\b(?:invalid|isbn|order|sku|port|build|version|trace|span|commit|unix time|timestamp|pid|line|issue|pull|ticket|revision)\b[ _\w:#\"=(-]{0,12}$"
)
_DATE = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])\b|^\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d"
)
# RFC 2606 and what documentation writes; nobody's address.
_NOBODY = re.compile(r"(?i)@(?:[\w.-]+\.)?(?:example(?:\.\w+)?|test|invalid|localhost|local|domain\.com|yourdomain\.\w+|company\.com|email\.com|users\.noreply\.github\.com)$"
                     r"|^(?:git|noreply|no-reply|donotreply|postmaster)@|@\d+x\.(?:png|jpg|svg|webp)$")  # fmt: skip


class Pii:
    name = "pii"
    threshold = 0.5

    @cached_property
    def _patterns(self) -> Patterns:
        return Patterns(_RULES)

    def scan(self, sample: Sample) -> list[Finding]:
        return [finding for view in sample.views for finding in self._view(view)]

    def _view(self, view: View) -> Iterator[Finding]:
        taken: list[tuple[int, int]] = []
        for hit in self._patterns.find(view.text):
            for name, score, start, end in _verdicts(hit, view.text):
                if score and not any(start < high and low < end for low, high in taken):
                    taken.append((start, end))
                    excerpt = covered(view.text[start:end])
                    yield Finding(self.name, name, *view.span(start, end), score, excerpt, view.how)


Verdict = tuple[str, float, int, int]


def _verdicts(hit: Hit, text: str) -> Iterator[Verdict]:
    if hit.rule == "document":
        yield from _documents(text, hit.end)
    elif (verdict := _judge(hit, text)) is not None:
        yield verdict


def _documents(text: str, at: int) -> Iterator[Verdict]:
    """Letters and figures that only the word before them makes a document's number."""
    for match in _LETTERED.finditer(text, at, at + 48):
        value, start, end = match[1], *match.span(1)
        figures = sum(c.isdigit() for c in value)
        shaped = 8 <= len(value) <= 16 and 4 <= figures < len(value) and start - at <= 24
        if shaped and not _DENIED.search(text, max(0, start - NEAR), start):
            yield "document_number", 0.6, start, end


def _judge(hit: Hit, text: str) -> Verdict | None:
    rule, start, end = hit.rule, hit.start, hit.end
    value = text[start:end]
    before, after = text[max(0, start - NEAR) : start], text[end : end + 24]
    if rule in _BY_FORM:
        return (rule, _BY_FORM[rule], start, end) if not _DENIED.search(before) else None
    judged = _JUDGES[rule](value, before, after)
    if judged is None:
        return None
    name, score, size = judged
    return name, score, start, start + size


Judged = tuple[str, float, int] | None
_BY_FORM = {"german_licence": 0.6, "german_pension": 0.6, "german_register": 0.6, "indian_pan": 0.6,
            "indian_gstin": 0.8, "medicare_beneficiary": 0.6, "uk_nino": 0.6, "plate": 0.55, "plate_spoken": 0.6, "plate_alone": 0.55, "military_post": 0.8,
            "address": 0.6, "street": 0.6, "postcode": 0.6, "ipv4_person": 0.6, "italian_code": 0.8, "italian_licence": 0.55}  # fmt: skip


def _email(value: str, before: str, after: str) -> Judged:
    if _NOBODY.search(value) or ("://" in before[-40:] and " " not in before[before.rfind("://") :]):
        return None
    return "email", 0.9, len(value)


_ISSUERS = re.compile(r"4|5[0-8]|6|3[0-9]|2(?:2[2-9]|[3-6]|7[01]|720)|1800|2131|1(?:22|35)")


def _card(value: str, before: str, after: str) -> Judged:
    digits = re.sub(r"\D", "", value)
    word = bool(_CARD_WORD.search(before) or _CARD_WORD.search(after))
    if (
        not checksums.luhn(digits)
        or not _ISSUERS.match(digits)
        or len(set(digits)) < 2
        or _DENIED.search(before)
    ):
        return None
    if not word and (
        len(digits) not in (14, 15, 16, 19)
        or digits[0] == "1"
        or (" " in value and not _GROUPED.fullmatch(value))
    ):
        return None
    return "card", 0.95 if word else 0.8, len(value)


_GROUPED = re.compile(r"\d{4}(?:[ -]\d{4}){3}|\d{4}[ -]\d{6}[ -]\d{4,5}|\d+")


def _iban(value: str, before: str, after: str) -> Judged:
    found = checksums.iban(value)
    if not found:
        return None
    size = [at for at, char in enumerate(value, 1) if char.isalnum()][len(found) - 1]
    rest = value[size : size + 1]
    return None if rest.isalnum() or value[size : size + 2].strip().isdigit() else ("iban", 0.95, size)


_RUNNING = re.compile(r"1234567|2345678|3456789|7654321|(\d)\1{6}")


def _ssn(value: str, before: str, after: str) -> Judged:
    if _RUNNING.search(re.sub(r"\D", "", value)):
        return None  # 123-45-6789 is everybody's example
    area, group, serial = int(value[:3]), int(value[4:6]), int(value[7:])
    if not area or not group or not serial or area == 666 or value[3] != value[6]:
        return None
    if area >= 900:
        return ("us_itin", 0.7, len(value)) if 50 <= group <= 99 else None
    return "us_ssn", 0.8, len(value)


_BARE_PHONE = re.compile(
    r"\+\d{1,3}[ .-]?\(?\d[\d ().-]{5,16}\d|\(\d{2,4}\) ?\d{3,4}[ -]\d{3,4}|\d{3}-\d{3}-(?:\d{4}|\d{2}-\d{2})|0\d{2,3} \d{3} \d{2} ?\d{2}|0\d{3} \d{2} \d{2} \d{2}|0\d{2} \d{4} \d{4}|\d{3}\.\d{3}\.\d{4}|0\d{2,4}/ ?\d{5,9}"
)


def _phone(value: str, before: str, after: str) -> Judged:
    if value.count("(") != value.count(")"):
        value = value[: value.rfind("(")].rstrip()  # what follows in brackets is no part of it
    digits = sum(c.isdigit() for c in value)
    if (
        not 6 <= digits <= 15
        or _DATE.search(value)
        or _DENIED.search(before)
        or value.count("(") != value.count(")")
        or ".." in value
        or "--" in value
    ):
        return None
    plain = value.strip()
    if re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){2,3}|\d+\.\d+", plain):
        return None  # a version, an address of a machine, a number
    if _PHONE_WORD.search(before) or re.match(
        r"[-\s,\\]{0,3}(?:office|fax|mobile|home|cell|desk|work)\b", after, re.I
    ):
        return "phone", 0.8, len(value)
    if (
        digits >= 8
        and not _RUNNING.search(re.sub(r"\D", "", value))
        and (_ID_WORD.search(before[-32:]) or _ID_WORD.match(after.strip()))
    ):
        return "document_number", 0.6, len(value)
    return ("phone", 0.7, len(value)) if _BARE_PHONE.fullmatch(plain) and digits >= 9 else None


_BY_LENGTH: dict[int, tuple[tuple[str, Callable[[str], bool], bool], ...]] = {
    # digits: (name, check, whether a word must stand near)
    9: (("canadian_sin", checksums.luhn, True),),
    10: (("us_npi", checksums.npi, True), ("uk_nhs", checksums.british_nhs, True), ("swedish_id", checksums.swedish, True)),
    11: (("turkish_id", checksums.turkish, False), ("polish_pesel", checksums.polish, True), ("italian_vat", checksums.luhn, True)),
    12: (("indian_aadhaar", checksums.verhoeff, True), ("swedish_id", lambda d: d[:2] in ("19", "20") and checksums.swedish(d), False)),
    13: (("south_african_id", checksums.south_african, False), ("korean_id", checksums.korean, False), ("thai_id", checksums.thai, False)),
}  # fmt: skip


def _digits(value: str, before: str, after: str) -> Judged:
    if _DENIED.search(before) or (len(value) == 13 and "1500000000000" < value < "1999999999999"):
        return None
    word = bool(_ID_WORD.search(before) or _ID_WORD.search(after))
    for name, check, needed in _BY_LENGTH.get(len(value), ()):
        if (word or not needed) and check(value):
            return name, 0.8 if word else 0.6, len(value)
    return ("national_id", 0.6, len(value)) if word and len(value) >= 9 else None


def _dashed(value: str, before: str, after: str) -> Judged:
    digits = re.sub(r"\D", "", value)
    word = bool(_ID_WORD.search(before) or _ID_WORD.search(after))
    if _DENIED.search(before):
        return None
    if re.fullmatch(r"\d{6}(?:\d{2})?[-+]\d{4}", value):
        return ("swedish_id", 0.7, len(value)) if checksums.swedish(digits) else None
    if re.fullmatch(r"\d{6}-\d{7}", value):
        return (
            ("korean_id", 0.7, len(value))
            if (checksums.korean(digits) and (word or digits[6] in "1234"))
            or (word and checksums.date(digits[:2], digits[2:4], digits[4:6]))
            else None
        )
    if re.fullmatch(r"\d{4} \d{4} \d{4}", value):
        alone = not re.search(r"[A-Za-z0-9]{2,4} $", before)
        return (
            ("indian_aadhaar", 0.7, len(value))
            if alone and digits[0] in "23456789" and checksums.verhoeff(digits)
            else None
        )
    if len(digits) == 10 and checksums.npi(digits) and " " in value:
        return "us_npi", 0.55, len(value)
    return ("national_id", 0.6, len(value)) if word else None


_TITLE = r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Sr|Sra)\.? $|(?i:my|his|her|their|our) \w+ $|(?i:name(?:'s| is)) $"

_JUDGES: dict[str, Callable[[str, str, str], Judged]] = {
    "email": _email, "card": _card, "iban": _iban, "us_ssn": _ssn, "phone": _phone, "digits": _digits, "dashed": _dashed,
    "finnish_id": lambda value, before, after: ("finnish_id", 0.8, len(value)) if checksums.finnish(value) else None,
    "spanish_id": lambda value, before, after: ("spanish_id", 0.8, len(value)) if checksums.spanish(value) else None,
    "singapore_fin": lambda value, before, after: None if _RUNNING.search(value) else ("singapore_fin", 0.6, len(value)),
    "brazilian_cpf": lambda value, before, after: ("brazilian_cpf", 0.9, len(value)) if checksums.brazilian(re.sub(r"\D", "", value)) else None,
    "person": lambda value, before, after: ("person", 0.55, len(value)) if " " in value or not value.isascii() or re.search(_TITLE, before) else None,
    "german_tax": lambda value, before, after: ("german_tax", 0.55, len(value)),
}  # fmt: skip

SCANNER = Pii()
