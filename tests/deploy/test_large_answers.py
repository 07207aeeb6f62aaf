"""What Lambda would drop is answered with an error that says why: its limit is of all the bytes that the runtime writes."""

import json
from typing import Any

import pytest

from gateway.aws import LARGEST, deliverable


def answer(body: str) -> dict[str, Any]:
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body, "isBase64Encoded": False}  # fmt: skip


FRAME = len(json.dumps(answer("")))


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ("", True),
        ("x" * (LARGEST - FRAME), True),
        ("x" * (LARGEST - FRAME + 1), False),
        ('"' * (LARGEST // 2 - FRAME), True),  # each is written as two bytes
        ('"' * (LARGEST // 2), False),
        ("語" * 1_000_000, True),  # and each of these as six
        ("語" * 1_050_000, False),
    ],
    ids=["empty", "just", "too-large", "quotes", "too-many-quotes", "letters", "too-many-letters"],
)
def test_an_answer_that_lambda_would_drop_is_replaced(body: str, fits: bool) -> None:
    got = deliverable(answer(body))
    if fits:
        assert got == answer(body)
    else:
        assert got["statusCode"] == 502
        assert "larger than the 6 MB that AWS Lambda returns" in json.loads(got["body"])["error"]["message"]
        assert len(json.dumps(got)) < LARGEST
