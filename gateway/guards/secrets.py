"""Credentials in text: tokens that say what they are, and values whose name and randomness say it.

A shape alone is not a secret: documentation is full of `your-api-key`, `xxxx` and `${TOKEN}`. What passes for one must also
be random enough for its length, and where a format carries a checksum or a structure, that must hold.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Iterator
from functools import cached_property

from gateway.guards import chance
from gateway.guards import secret_places as places
from gateway.guards import secret_shapes as shapes
from gateway.guards.decode import View
from gateway.guards.findings import Finding, Sample, covered
from gateway.guards.patterns import Patterns
from gateway.guards.taken import Taken

_RULES = {**shapes.PREFIXED, **shapes.STRUCTURED, "address": places.ADDRESS, **places.ASSIGNED}


class Secrets:
    name = "secrets"
    threshold = 0.5

    @cached_property
    def _patterns(self) -> Patterns:
        return Patterns(_RULES, by_words=True)

    def scan(self, sample: Sample) -> list[Finding]:
        return [finding for view in sample.views for finding in self._view(view)]

    def _view(self, view: View) -> Iterator[Finding]:
        taken = Taken()
        for hit in self._patterns.find(view.text):
            rule, start, end = hit.rule, hit.start, hit.end
            value = view.text[start:end]
            score = _score(rule, value, view.text[max(0, start - 80) : start])
            if score and taken.take(start, end):
                yield Finding(self.name, rule, *view.span(start, end), score, covered(value), view.how)


def _score(rule: str, value: str, before: str) -> float:
    if rule in _CHECKS:
        return _CHECKS[rule](value, before)
    if rule in shapes.PREFIXED:
        return 0.95 if not chance.dull(value) and chance.entropy(value) >= chance.least(len(value)) else 0.0
    if rule in shapes.STRUCTURED:
        return 0.9 if not chance.PLACEHOLDER.search(value) and value.upper() != value.lower() else 0.0
    return _assigned(value, before)


# --- assigned values ------------------------------------------------------------------------------------------------

_PASSWORD = re.compile(  # what stands before a password
    rf"(?i)(?:{places.WORDS}|\bpass|_pass|\bpw)(?: \w{{1,12}}){{0,3}}?\w{{0,16}}[\"']?\]?\s{{0,4}}(?:=|:|=>|>|\s\||,(?=\s{{0,2}}[\"'])|:\s?\{{\s?\"value\"\s?:)\s{{0,4}}[\"']?$"
    rf"|(?:pwd|psk)\"?\s{{0,3}}[=:]\s{{0,3}}[\"']?$"
)
_CODE = re.compile(
    r"[()\[\]{}<>|\\]|^\$|\$[A-Z_]{3}|^[./@&#%-]|::|->|://|^(?:true|false|null|none|undefined|self|this|new|await)\b",
    re.I,
)
# It may begin with a slash: no path of that length goes without a dot.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{32,}={0,2}")
_NO_SECRET = re.compile(  # names that hold a secret's word and no secret
    r"(?i)(?:credentials?[-_ ]?id|(?<!access)(?<!access[-_ ])key[-_ ]?id|key[-_ ]?(?:frame|word|board|vault|chars|path|name|space|length)|public[-_ ]?key|(?:secret|token|key|credentials?)[-_. ]?(?:length|name|type|url|path|count|limit|size)"
    r"|csrf|xsrf|monkey|tokeni[sz]|max_?tokens|jsonwebtoken|keyframe\w*|to_?store_?secrets?|author\w*)[\w\"' -]{0,24}[=:,(>]+\s{0,4}[\"'`]*$"
)
_HASHED = re.compile(
    r"(?i)(?:sha-?\d+|md5|integrity|checksum|digest|hash|commit|etag|revision|public[-_ ]?key|version)[\w\"' ]{0,12}[=:]\s*[\"']?$|h1:$"
)


def _assigned(value: str, before: str) -> float:
    if value.endswith("..."):
        return 0.0
    value = value.rstrip(".,:;)\\")
    code = _CODE.search(value) and not _BASE64.fullmatch(value)
    if chance.dull(value) or code or _HASHED.search(before) or _NO_SECRET.search(before):
        return 0.0
    if _PASSWORD.search(before):
        return _password(value, before)
    if not chance.random_looking(value):
        return 0.0
    if _STRONG.search(before):
        return 0.7
    if _SESSION.search(before):
        return 0.0 if chance.UUID.fullmatch(value) or len(value) < 24 else 0.6
    # `key`, `auth` and the names of vendors say less: such a value must look the more like chance.
    return (
        0.6
        if not chance.UUID.fullmatch(value)
        and len(value) >= 14
        and chance.entropy(value) >= 0.75 * math.log2(len(value))
        else 0.0
    )


_STRONG = re.compile(
    r"(?i)(?:passw(?:or)?d|passwd|secret|token|api[ _.-]?key|apikey|access[ _.-]?key|private[ _.-]?key|client[ _.-]?key|encryption[ _.-]?key|(?:subscription|master|preshared|storage|signing|recovery)[ _.-]?key|psk|\bjwt|(?:recovery|backup) codes?|x-[a-z-]{0,20}key|bearer|authorization|_key|app_key|credentials?)"
    r"[\w\"'`\]) ]{0,12}(?:(?:for|of|to|on) [\w./-]{1,24} )?(?:[:=,>(?|]|\bis\b|bearer|basic|\"value\"|\s){1,8}[\"'`\s]{0,4}(?:base64:)?$"
)


_SESSION = re.compile(r"(?i)sess(?:ion)?[-_]?(?:id|token)?[\"']?\s?[=:]\s?[\"']?$")


def _password(value: str, before: str = "") -> float:
    """A password may be a word with figures or signs; a bare word is a type or a placeholder."""
    if chance.random_looking(value):
        return 0.8
    return 0.6 if 6 <= len(value) <= 64 and _chosen(value) else 0.0


_PARTS = re.compile(r"[A-Za-z0-9]+")
_SIGNS = re.compile(r"[!#%&*+?@^~]")


def _chosen(value: str) -> bool:
    """As people and generators choose passwords: figures in a word, a sign beside it, or a part that is no word."""
    letters, figures = any(c.isalpha() for c in value), any(c.isdigit() for c in value)
    if letters and figures and not any(c in value for c in "./_"):
        return True
    mixed = value.lower() != value or figures
    if letters and mixed and _SIGNS.search(value):
        return True
    return any(
        len(part) >= 5 and part.lower() != part and not chance.worded(part) for part in _PARTS.findall(value)
    )


def _given(value: str, before: str) -> float:
    """What stands where only a password stands."""
    return 0.0 if chance.dull(value) or _CODE.search(value) or _EXAMPLE.fullmatch(value) else _password(value)


def _spoken(value: str, before: str) -> float:
    """Without a word or a sign between, what follows may be the sentence: it must not look like a word."""
    bare = _BARE.search(before) and not _SIGNS.search(value) and not chance.random_looking(value)
    return 0.0 if bare else _given(value, before)


_BARE = re.compile(rf"(?:{places.WORDS})\s+$", re.I)
_EXAMPLE = re.compile(r"(?:my[-_]?)?(?:pass(?:word)?|secret|user)[-_]?\d{0,4}", re.I)


def _parameter(value: str, before: str) -> float:
    return (
        0.7
        if chance.random_looking(value) and not chance.UUID.fullmatch(value) and not chance.dull(value)
        else 0.0
    )


def _mixed(value: str, before: str) -> float:
    """Letters of both cases and figures, as only chance makes them."""
    kinds = (str.islower, str.isupper, str.isdigit)
    good = all(any(kind(c) for c in value) for kind in kinds) and chance.random_looking(value)
    return 0.8 if good and not chance.dull(value) else 0.0


# --- what a format promises -----------------------------------------------------------------------------------------


def _github(value: str, before: str) -> float:
    """The last six letters are a CRC of the rest. A wrong one may be an old or altered token: still shaped like one."""
    head, body, check = value[:4], value[4:-6], value[-6:]
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[digit] + digits
    if len(value) == 40 and digits.rjust(6, "0") == check:
        return 0.99
    return 0.9 if head and not chance.dull(value) and chance.entropy(value) >= 3 else 0.0


def _jwt(value: str, before: str) -> float:
    """The header decodes to a JSON object."""
    head = value.split(".", 1)[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return 0.0
    return 0.95 if isinstance(header, dict) and header else 0.0


def _openai(value: str, before: str) -> float:
    return 0.95 if "T3BlbkFJ" in value else 0.0


def _anthropic(value: str, before: str) -> float:
    return 0.95 if value.endswith("AA") and not chance.dull(value) else 0.0


def _aws(value: str, before: str) -> float:
    return 0.9 if "EXAMPLE" not in value and re.fullmatch(r"[A-Z2-7]{16}", value[4:]) else 0.0


def _jfrog(value: str, before: str) -> float:
    """Two short beginnings that capitals alone may have by chance."""
    if len(value) > 20 and chance.dull(value):
        return 0.0
    return (
        0.8
        if value.startswith("AKC")
        or (any(c.islower() for c in value) and any(c.isdigit() or c == "x" for c in value[2:]))
        else 0.0
    )


def _google(value: str, before: str) -> float:
    """A browser key is public by design, and documents print it; it counts where something calls it a key."""
    return (
        0.0
        if chance.dull(value) or chance.entropy(value) < 4 or chance.ALPHABET.search(value)
        else 0.95
        if before.strip()
        else 0.4
    )


def _vault_old(value: str, before: str) -> float:
    return 0.8 if chance.random_looking(value[2:]) else 0.0


def _body(value: str, before: str) -> float:
    """What follows the last sign, for the prefix is made of words."""
    return _mixed(re.split("[_-]", value)[-1], before)


def _service(value: str, before: str) -> float:
    return 0.8 if chance.random_looking(value.partition("_")[2]) and not chance.dull(value) else 0.0


def _sumologic(value: str, before: str) -> float:
    return 0.8 if any(c.isdigit() for c in value) else 0.0


def _address(value: str, before: str) -> float:
    """What is the same as the user's name, or says that it is a password, is an example."""
    name = before[:-1].rsplit("/", 1)[-1]
    if value == name or chance.dull(value) or _NO_PASSWORD.search(value):
        return 0.0
    return 0.8


_NO_PASSWORD = re.compile(r"^\$|\$[A-Z_]{3}|[{}<>()*]|%[A-Z_]+%|%[sd]\b|^pass(?:word)?$|^user", re.I)


def _seed(value: str, before: str) -> float:
    words = re.findall(r"[a-z]+", value.lower())
    return 0.8 if len(words) in (12, 15, 18, 21, 24) and len(set(words)) >= 11 else 0.0


def _private_key(value: str, before: str) -> float:
    body = value.split("-----", 2)[-1]
    return 0.95 if sum(c.isalnum() for c in body) >= 48 and not chance.PLACEHOLDER.search(body[:64]) else 0.0


def _curl(value: str, before: str) -> float:
    secret = value.partition(":")[2]
    secret = secret.strip("\"'")
    plain = chance.worded(secret) and not any(c.isdigit() for c in secret)
    return (
        0.7
        if not chance.dull(secret) and not plain and chance.entropy(secret) > 2 and secret[:1] not in "<[{*"
        else 0.0
    )


_CHECKS = {"github": _github, "jwt": _jwt, "openai": _openai, "openai_project": _openai, "anthropic": _anthropic, "aws_access_key": _aws,
           "address": _address, "private_key": _private_key, "jfrog": _jfrog, "google_api": _google, "vault_old": _vault_old,
           "sumologic_id": _sumologic, "curl_user": _curl, "ngrok": _mixed, "secret_key": _mixed, "service_key": _service, "resend": _mixed, "retool": _mixed, "telling_prefix": _body, "backblaze": _mixed, "paypal": _mixed, "volcengine": _mixed,
           "brave": _mixed, "dropbox": _mixed, "voyage": _mixed, "crates": _mixed, "telnyx": _mixed, "mollie": _mixed, "gocardless": _mixed, "query_parameter": _parameter,
           **dict.fromkeys(("command_password", "net_use", "netrc", "pgpass", "oracle_address", "xml_attribute", "pair", "piped", "here_string", "auth_pair", "sql_password", "used_as", "logged_in", "configured", "windows_password", "variable_default", "secret_set", "xml_entry", "xml_value"), _given), "spoken_password": _spoken, "bearer": _parameter, "address_token": _parameter, "seed_phrase": _seed}  # fmt: skip

SCANNER = Secrets()
