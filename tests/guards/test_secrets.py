"""Secrets: every issuer's form is known and a placeholder in it is none; places where a password stands, in many tongues."""

from __future__ import annotations

import random
import re
import string
from functools import cache

import pytest
from hypothesis import Phase, find, settings
from hypothesis import strategies as st

from gateway.guards import registry
from gateway.guards import secret_shapes as shapes


def rules(text: str) -> set[str]:
    return {finding.rule for finding in registry.scan(text, ("secrets",))}


@cache
def beginning(pattern: str) -> str:
    drawn = st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
    return find(
        drawn, lambda _: True, settings=settings(phases=[Phase.generate], derandomize=True, database=None)
    )


def issued(name: str, size: int) -> str:
    """As an issuer draws: figures and both cases wherever the form has them."""
    start, letters, _, _ = shapes.ISSUERS[name]
    chance = random.Random(name)
    begin = re.sub("0000+", lambda run: "".join(chance.choices("123456789", k=len(run[0]))), beginning(start))
    allowed = [char for char in string.ascii_letters + string.digits if re.fullmatch(letters, char)]
    kinds = [[char for char in allowed if kind(char)] for kind in (str.isdigit, str.islower, str.isupper)]
    body = [chance.choice(kind) for kind in kinds if kind] + chance.choices(allowed, k=size)
    body = body[:size]
    chance.shuffle(body)
    return begin + "".join(body)


# Of these a part is fixed, which their own rules ask for.
FIXED = {"openai": ("T3BlbkFJ", 23), "openai_project": ("T3BlbkFJ", 30), "anthropic": ("AA", 0)}


@pytest.mark.parametrize("name", shapes.ISSUERS)
def test_a_token_of_every_issuer_is_told_by_its_form(name: str) -> None:
    _, _, least, most = shapes.ISSUERS[name]
    token = issued(name, (least + most) // 2 if least < 17 else least)
    if name in FIXED:
        part, at = FIXED[name]
        token = token[:at] + part + token[at + len(part) :] if at else token[: -len(part)] + part
    assert rules(f"key {token} of the build")


@pytest.mark.parametrize("name", [name for name, (_, _, least, _) in shapes.ISSUERS.items() if least > 16])
def test_a_placeholder_in_an_issuers_form_is_no_token(name: str) -> None:
    start, letters, least, _ = shapes.ISSUERS[name]
    sign = next(char for char in "xX0-a" if re.fullmatch(letters, char))
    assert name not in rules(f"use {beginning(start)}{sign * least} here")


P = "Willow-7kqZ!"
PLACES = [
    f"şifre: {P}",
    f"hasło to {P}",
    f"密码是{P}",
    f"パスワードは {P} です",
    f"비밀번호는 {P}",
    f"كلمة المرور: {P}",
    f"סיסמה: {P}",
    f"mật khẩu: {P}",
    f"пароль от админки {P}",
    f"das Kennwort lautet {P}",
    f"Password (admin): {P}",
    f"mot de passe admin : {P}",
    f"| password | {P} |",
    f"use {P} as the password",
    f"log in as admin with {P}",
    f"requirepass {P}",
    f"enable secret 5 {P}",
    f"net user build {P} /add",
    f"(ConvertTo-SecureString '{P}' -AsPlainText -Force)",
    f"auth=HTTPBasicAuth('ci', '{P}')",
    f'variable "db_password" {{\n  default = "{P}"\n}}',
    f'<entry key="db.password">{P}</entry>',
    f"amqps://svc:p@{P}@mq:5671/v",
    "MYSQL_PWD=xK4$9mLq!z mysqldump shop",
    "https://k8Jx9vQ2mZ7vJ3tLp5RwN1sH@git.test/acme/x.git",
    "gh secret set DEPLOY --body k8Jx9vQ2mZ7vJ3tLp5RwN1sH",
    "curl -H 'bearer k8Jx9vQ2mZ7vJ3tLp5RwN1sH'",
    "Cookie: sessionid=9f8e7d6c5b4a39281706f5e4d3c2b1a0; path=/",
    "Ocp-Apim-Subscription-Key: 9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "SharedAccessKeyName=Root;SharedAccessKey=k8Jx9vQ2mZ7vJ3tLp5RwN1sH8dBc6Yk8Jx9vQ2mZ7vJ=",
    'secret_key = "/8Jx9vQ2mZ7vJ3tLp5RwN1sH8dBc6Yk8Jx9vQ2m"',
    "//registry.test/npm/:_authToken=743b294a-cd03-11ec-9d64-0242ac120002",
    "AWS_ACCESS_KEY_ID=yLryKGwcGc3ez9G8YAnjeYMQOc",
    "acme_token_v1_k8Jx9vQ2mZ7vJ3tLp5RwN1sH",
    "ci:$apr1$r31abcde$HqJZimcKQFAMYayBlzkrA/",
    "ci:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=",
    "root:$6$saltsalt$" + "k8Jx9vQ2mZ" * 8 + "ABCDEF:19000:0:99999",
]  # fmt: skip

NO_PLACES = [
    "password policy requires 12 characters",
    "password reset2 is done",
    "the password is required",
    "passwords must match",
    "密码不正确，请重试",
    "contraseña incorrecta",
    "mot de passe oublié ?",
    "password: z.string().min(8)",
    "use abc as the password",
    "log in as admin with sudo",
    "bearer token authentication",
    'psk="$PSK"',
    "cat passwd|base32 -d",
    '>>> auth = httpx.DigestAuth("my_user", "password123")',
    "https://docs.test/@scope/package-name-with-words@latest",
    "toolu_01A09q90qw90lq917835lq9B",
    "chatcmpl-9sLkJ2hQ7vXw3Zb5Tn8Yc1Rd",
    "cache-key-d41d8cd98f00b204e9800998ecf8427e",
    "WHERE session_id = '1c116740-9246-41bd-9571-4c3736de2416'",
    "kms_key_id: 8Jx9vQ2mZ7vJ3tLp5RwN1sH8dBc6Y",
    "hash: $2b$12$ followed by the salt",
]  # fmt: skip


@pytest.mark.parametrize("text", PLACES)
def test_what_stands_where_a_secret_stands_is_one(text: str) -> None:
    assert rules(text)


@pytest.mark.parametrize("text", NO_PLACES)
def test_words_about_secrets_are_none(text: str) -> None:
    assert not rules(text)
