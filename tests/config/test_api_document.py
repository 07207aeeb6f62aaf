"""The OpenAPI document of a server, as the file names it."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.config.load import Broken, Loaded, loads

DOCUMENT = """
openapi: 3.0.3
info: {title: Pets, version: 2024-01-01}
servers: [{url: https://pets.example.com}]
paths:
  /pets/{id}:
    get:
      operationId: on
      parameters: &ids [{name: id, in: path, required: true, schema: {type: integer, maximum: 99999999999999999999, nullable: yes}}]
      responses: {200: {description: 2024-01-01}}
    delete: {operationId: off, parameters: *ids}
"""
FILE = "routes: [{path: /mcp, mcp: {servers: {pets: {openapi: pets.yaml}}}}]\n"
Read = Callable[..., Loaded]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def run(document: str, text: str = FILE) -> Loaded:
        (tmp_path / "pets.yaml").write_text(document)
        return loads(text, source="gateway.yaml", folder=tmp_path, env={})

    return run


def document(loaded: Loaded) -> Any:
    return loaded.data["routes"][0]["mcp"]["servers"]["pets"]["openapi"]


def test_yaml_is_read_as_the_json_that_it_stands_for(read: Read, tmp_path: Path) -> None:
    loaded = read(DOCUMENT)
    found = document(loaded)
    assert found["info"]["version"] == "2024-01-01"
    item = found["paths"]["/pets/{id}"]
    assert (item["get"]["operationId"], item["delete"]["parameters"]) == ("on", item["get"]["parameters"])
    assert item["get"]["responses"] == {"200": {"description": "2024-01-01"}}
    assert item["get"]["parameters"][0]["schema"] == {"type": "integer", "maximum": 1e20, "nullable": "yes"}
    assert document(read(json.dumps(found))) == found


@pytest.mark.parametrize(
    ("written", "meant"),
    [("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("18446744073709551615", 2**64 - 1), ("18446744073709551616", 2.0**64)],
)  # fmt: skip
def test_a_number_means_the_same_in_yaml_and_in_json(read: Read, written: str, meant: Any) -> None:
    for text in (f"x: {written}", f'\n{{\t"x":\t{written}}}', f'\ufeff{{\t"x": {written}}}'):
        made = document(read(text))["x"]
        assert (made, type(made)) == (meant, type(meant))


def test_a_change_of_the_document_is_a_change_of_the_configuration(read: Read, tmp_path: Path) -> None:
    assert tmp_path / "pets.yaml" in read(DOCUMENT).files


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "pets.yaml is no OpenAPI document: it must be an object"),
        ("- 1", "pets.yaml is no OpenAPI document: it must be an object"),
        ("{", "pets.yaml:1: not JSON:"),
        ('{"a": 1}{', "pets.yaml:1: not JSON:"),
        ("a: [}", "pets.yaml:1: not YAML:"),
        ("a: 1\nb: 2\na: 3", "pets.yaml:3: a stands twice"),
        ("a: &x {b: 1}\nc: {<<: *x}", "pets.yaml:2: << is nothing that JSON has"),
        ("a: &x [*x]", "its anchors are inside of each other"),
        ("a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]\n" for n in range(1, 8)), "too large"),
        ("a: " + "[" * 150 + "]" * 150, "not YAML: nested too deeply"),
        ("{" + '"a":{' * 3000, "pets.yaml:1: not JSON:"),
        ("#" * (16 * 1024 * 1024 + 1), "16777216 are the most"),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_document_is_told_with_both_lines(read: Read, text: str, said: str) -> None:
    with pytest.raises(Broken) as caught:
        read(text, "routes:\n- path: /mcp\n  mcp:\n    servers:\n      pets:\n        openapi: pets.yaml\n")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("gateway.yaml:6: routes[0].mcp.servers.pets.openapi: ")
    assert said in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.yaml", "none.yaml cannot be read: No such file or directory"),
        ("https://pets.example.com/openapi.json", "must be a file beside this one"),
        ("[a]", "must be a string"),
    ],
)
def test_a_document_that_cannot_be_read_is_told(read: Read, name: str, said: str) -> None:
    with pytest.raises(Broken, match=said):
        read("", FILE.replace("pets.yaml", name))


Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(text: str, **documents: str) -> tuple[int, str, str]:
        for name, each in documents.items():
            (tmp_path / f"{name}.yaml").write_text(each)
        file = tmp_path / "gateway.yaml"
        file.write_text(text)
        code = main(["check", str(file)])
        shown = capsys.readouterr()
        return code, shown.out.replace(str(tmp_path), ""), shown.err.replace(str(tmp_path), "")

    return run


def test_check_tells_all_that_is_wrong_with_all_documents(check: Check) -> None:
    text = "routes: [{path: /mcp, mcp: {servers: {a: {openapi: a.yaml}, b: {openapi: b.yaml}}}}]"
    broken = 'openapi: 3.1.0\npaths: {/x: {get: {parameters: [{$ref: "#/none"}]}}}\n'
    code, _, err = check(text, a=broken, b="openapi: '2.0'")
    assert code == 1
    assert err.splitlines() == [
        "/gateway.yaml:1: route /mcp: mcp.servers.a.openapi: has no base URL (it names no server): give the server's url",
        "/gateway.yaml:1: route /mcp: mcp.servers.a.openapi: paths./x.get: $ref '#/none' leads to nothing",
        "/gateway.yaml:1: route /mcp: mcp.servers.b.openapi: says openapi: 2.0; 3.0 and 3.1 can be read",
    ]


@pytest.mark.parametrize(
    "keys", ["{}", "{command: [x], url: 'https://a.example'}", "{command: [x], openapi: a.yaml}"]
)
def test_a_server_is_reached_in_one_way(check: Check, keys: str) -> None:
    code, _, err = check(f"routes: [{{path: /mcp, mcp: {{servers: {{a: {keys}}}}}}}]", a=DOCUMENT)
    assert code == 1
    assert "mcp.servers.a: needs a url, a command, or openapi with or without a url" in err


def test_operations_without_a_document_are_no_allow_list(check: Check) -> None:
    text = "routes: [{path: /mcp, mcp: {servers: {a: {url: 'https://a.example', operations: [x]}}}}]"
    assert "operations are those of openapi; allow holds tools" in check(text)[2]


def test_what_is_left_out_is_logged(check: Check, caplog: pytest.LogCaptureFixture) -> None:
    file = DOCUMENT + "  /photo: {post: {requestBody: {content: {multipart/form-data: {}}}}}\n"
    with caplog.at_level(logging.WARNING, "gateway"):
        code, out, _ = check(FILE, pets=file)
    assert (code, out) == (0, "/gateway.yaml: ok\n")
    assert caplog.messages == [
        "server pets: an operation is left out: paths./photo.post: its body is multipart/form-data; JSON and forms can be sent"
    ]
