"""SQL in values: what breaks out of one, and whole statements, filters and documents that do not."""

from __future__ import annotations

import pytest

from gateway.guards import registry
from gateway.guards.field_values import MOST, values

HONEST = [
    '{"op": "select", "from": "users", "where": {"id": 1}, "or": [{"a": 1}]}',
    "size='M' or size='L'",
    "a=1&b=2&or=3",
    "/api/v1/items?where=color%3D%27red%27&order=asc",
    "Don't sleep() in the benchmark",
    "UPDATE profile SET bio = 'I''m Ann; I like SQL -- and tea' WHERE id = 4",
    "SELECT id FROM tasks WHERE 1=1 AND status = 'open'",
    "price >= 10 and (state = 'open' or owner is null)",
]
ATTACKS = [
    '{"customer": "Kim\\"; ALTER TABLE invoices DROP COLUMN paid; --"}',
    '{"sort": "price; DROP VIEW v_sales --"}',
    '["a", {"deep": ["x", "7 UNION SELECT iban,owner FROM accounts"]}]',
    '{"x\' OR 1=1 --": 1}',
    '{"q": "1\' OR 1=1 --", "q": "shoes"}',
    "/items.php?cat=3+UNION+SELECT+1,login+FROM+staff--+",
    "https://shop.test/p?q=shoe%27)%20OR%20(%271%27=%271&page=2",
    "2; MERGE INTO roles r USING dual ON (1=1) WHEN MATCHED THEN UPDATE SET r.lvl=9--",
    "username='admin' or '1'='1'",
    "SELECT name FROM t WHERE a = 'x'; DROP TABLE t --'",
    "SELECT * FROM users WHERE id = 3 or 1=1",
    "1 AND sleep(5)",
]


@pytest.mark.parametrize("text", HONEST)
def test_what_breaks_out_of_nothing_passes(text: str) -> None:
    assert not registry.scan(text, ("sql_injection",))


@pytest.mark.parametrize("text", ATTACKS)
def test_what_breaks_out_of_its_field_is_found(text: str) -> None:
    (first, *_) = registry.scan(text, ("sql_injection",))
    assert 0 <= first.start < first.end <= len(text)


@pytest.mark.parametrize(
    ("text", "form", "fields"),
    [
        ('{"a": ["x", 1, {"b": "y"}], "c": null}', "json", ["a", "c", "x", "b", "y"]),
        ("?a=1&b=%27x+y", "query", ["1", "'x y"]),
        ("https://h.test/p%27?a=1&b=", "query", ["https://h.test/p'", "1"]),
        ("&".join(["a=1"] * (MOST + 1)), "", []),
        ("{not json}", "", []),
        ("[]", "", []),
        ("a = 1", "", []),
        ("size='M'", "", []),
        ("a=1' && '1'='1", "", []),
        (str(list("x" * (MOST + 1))).replace("'", '"'), "", []),
    ],
)
def test_a_document_is_what_stands_in_its_fields(text: str, form: str, fields: list[str]) -> None:
    found = values(text)
    assert (found[0], sorted(found[1])) == (form, sorted(fields))
