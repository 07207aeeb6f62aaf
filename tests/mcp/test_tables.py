"""The pure parts: names, paths, SQL, truncation, search, headers, seals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mcp import disclosure, eras, names, paths, resume, sql
from gateway.mcp.seal import Broken, Seal
from gateway.mcp.tables import Entry
from gateway.mcp.truncation import truncate

PREFIX = "/workspace/"


@pytest.mark.parametrize(
    "path",
    ["/workspace/a", "a/b.txt", "/workspace", "file:///workspace/a", "/workspace/x/../a", "./a", "", "a b", "/workspace//a",
     "file://localhost/workspace/a", "https://example.com/a"],
)  # fmt: skip
def test_paths_below_the_prefix_are_allowed(path: str) -> None:
    assert paths.refuse(path, prefix=PREFIX, denied=["/workspace/secrets/"]) == ""


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/workspacex/a", "../a", "/workspace/../etc", "/workspace/%2e%2e/etc", "%252e%252e/etc", "..\\etc",
     "file:///etc/passwd", "FILE:/etc/passwd", "file:%2Fetc%2Fpasswd", "~/.ssh/id", "/workspace/a\0/../../etc",
     "/workspace/secrets", "/workspace/secrets/a", "secrets/a", "/workspace/x/../secrets/a", "/workspace/SECRETS/a",
     "a://../../etc/passwd", " /etc/passwd", "C:\\Windows", "/workspace/./secrets//a", "%2fetc%2fpasswd"],
)  # fmt: skip
def test_paths_that_leave_the_prefix_or_are_denied_are_refused(path: str) -> None:
    assert paths.refuse(path, prefix=PREFIX, denied=["/workspace/secrets/"])


@given(st.text(max_size=60))
def test_whatever_is_allowed_resolves_below_the_prefix_in_every_reading(path: str) -> None:
    if paths.refuse(path, prefix=PREFIX, denied=[]) == "":
        for reading in paths.readings(path):
            resolved = paths.resolve(reading, PREFIX)
            assert resolved is not None
            assert resolved[0] == "workspace"


def test_paths_are_found_under_their_names_however_deep_and_as_file_uris_anywhere() -> None:
    arguments = {"path": "a", "opts": [{"sourceFile": "b", "text": "c"}], "paths": ["d", {"x": "e"}], "note": "file:///f",
                 "destination_dir": "g", "content": "/not/a/path"}  # fmt: skip
    assert sorted(path for _, path in paths.in_arguments(arguments)) == ["a", "b", "d", "e", "file:///f", "g"]
    assert [path for _, path in paths.in_arguments({"path": "a", "where": ["b"]}, ["where"])] == ["b"]


@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        ("select * from public.users", True),
        ("select * from users u join analytics.events e on e.u = u.id", True),
        ("with x as (select 1) select * from x", True),
        ("select * from secret.keys", False),
        ("select * from public.a; select * from secret.b", False),
        ("select * from (select * from secret.b) q", False),
        ('select * from "secret"."b"', False),
        ("select * from pg_shadow", False),
        ("select pg_read_file('/etc/passwd')", False),
        ("select * from information_schema.tables", False),
        ("insert into secret.a values (1)", False),
        ("select * from public.a where x in (select y from secret.z)", False),
        ("copy secret.a to '/tmp/x'", False),
        ("not sql at all (", False),
        ("begin; insert into users values (1); commit", True),
        ("create table analytics.a as select * from PUBLIC.users", True),
        ("select lower(name), public.rank(1) from users", True),
        ('select * from "Public".users', False),  # quoted, it is another one
        ("select * from other.public.users", False),
        ("set search_path to secret; select * from users", False),
        ("select set_config('search_path', 'secret', false)", False),
        ("select query_to_xml('select * from secret.a', true, true, '')", False),
        ("select secret.all_of_it()", False),
        ("select * from secret.all_of_it()", False),
        ("use secret", False),
        ("pragma table_list", False),
        ("select * from sqlite_master", False),
        ("select * from pragma_table_info('users')", False),
        ("copy users to program 'sh'", False),
        ("copy (select 1) to '/tmp/x'", False),
        ("create function f() returns int as $$ select 1 $$ language sql", False),
        ("alter table users set schema secret", False),
        ("do $$ begin end $$", False),
        ("call f()", False),
        ("explain select * from secret.a", False),
        ("select * from pg_shadow, (with pg_shadow as (select 1) select * from pg_shadow) q", False),
    ],
)
def test_sql_reads_only_the_schemas_that_it_may(query: str, allowed: bool) -> None:
    assert (sql.refuse({"deep": [{"query": query}]}, ("public", "analytics")) == "") is allowed


OWN = st.tuples(st.sampled_from(["a", "b", "a_b"]), st.text("abz_é-", min_size=1, max_size=80))


@given(st.lists(OWN, max_size=20), st.sampled_from(["auto", "always", "never"]))
def test_names_are_short_unique_valid_and_lead_back_to_their_owner(listed: Any, mode: Any) -> None:
    exposed = names.expose(listed, mode=mode, prefixes={"b": "b_"})
    assert all(len(name) <= names.LONGEST and name.isascii() for name in exposed)
    assert len(set(exposed.values())) == len(exposed)
    if mode != "never":
        assert set(exposed.values()) == set(listed)
    assert exposed == names.expose(listed, mode=mode, prefixes={"b": "b_"})


@pytest.mark.parametrize(
    ("template", "uri", "matches"),
    [
        ("test://template/{id}/data", "test://template/7/data", True),
        ("test://template/{id}/data", "test://template/7/other", False),
        ("file:///{+path}", "file:///a/b", True),
        ("x://{a}{b}{c}", "x://" + "a" * 100_000, True),
        ("x://a", "x://a", True),
        ("x://a", "x://ab", False),
    ],
)
def test_templates_match_in_linear_time(template: str, uri: str, matches: bool) -> None:
    assert names.matches(template, uri) is matches


@given(st.integers(1, 40), st.integers(0, 200), st.integers(300, 3000))
def test_a_truncated_result_fits_is_valid_and_says_so(max_rows: int, rows: int, max_bytes: int) -> None:
    data = [{"id": n, "text": "é" * 5} for n in range(rows)]
    result = {"content": [{"type": "text", "text": json.dumps(data)}], "structuredContent": {"rows": data}}
    kept = truncate(result, max_rows=max_rows, max_bytes=max_bytes, size=len(json.dumps(result)))
    cut = "gateway/truncated" in kept.get("_meta", {})
    assert cut is (kept is not result)
    if not kept.get("isError"):
        assert len(json.loads(kept["content"][0]["text"])) <= max_rows
        assert kept["structuredContent"]["rows"] == json.loads(kept["content"][0]["text"])
    if cut:
        assert "runcated" in kept["content"][-1]["text"]


def cut(text: str, **limits: int) -> str:
    """What is left of a result's one text."""
    result = {"content": [{"type": "text", "text": text}]}
    given = {"max_rows": 0, "max_bytes": 0, **limits}
    kept = truncate(result, **given, size=len(json.dumps(result)))
    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= (given["max_bytes"] or 1 << 60)
    said: str = kept["content"][0]["text"]
    return said


def test_text_that_is_no_json_is_cut_by_lines_and_then_by_characters() -> None:
    assert cut("\n".join("row" for _ in range(50)), max_rows=5).count("\n") == 4
    assert 200 < len(cut("é" * 5000, max_bytes=1000)) < 1000


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("[(1, 'a'), (2, 'b'), (3, 'c')]", "[(1, 'a'), (2, 'b')]"),
        ("[{'a': [1, 2]}, {'b': \"it's, [\"}, {}]", "[{'a': [1, 2]}, {'b': \"it's, [\"}]"),
        ("[1, 2, it's]", "[1, 2, it's]"),  # no list at all
        ("[1, 2, 3] and [4, 5, 6]", "[1, 2, 3] and [4, 5, 6]"),
        ("[" + "'\\'" * 100_000 + "]", "[" + "'\\'" * 100_000 + "]"),
    ],
)
def test_rows_that_a_program_has_printed_are_cut_like_rows(printed: str, kept: str) -> None:
    assert cut(printed, max_rows=2) == kept


def test_one_text_that_is_repeated_in_structured_content_is_cut_in_both_places_alike() -> None:
    text = "\n".join(f"line {n}" for n in range(500))
    result = {"content": [{"type": "text", "text": text}], "structuredContent": {"content": text}}
    kept = truncate(result, max_rows=0, max_bytes=2000, size=len(json.dumps(result)))
    assert kept["content"][0]["text"] == kept["structuredContent"]["content"]
    assert 400 < len(kept["content"][0]["text"]) < 1000
    assert kept["content"][1]["text"].startswith("[Truncated by the gateway: ")
    assert kept["_meta"]["gateway/truncated"]["of"] == 500


def test_what_is_read_is_cut_too_and_what_has_no_text_is_left_out_or_passes() -> None:
    read = {"contents": [{"uri": "file:///a", "text": "row\n" * 1000}]}
    kept = truncate(read, max_rows=0, max_bytes=1000, size=5000)
    assert kept["contents"][0]["text"].endswith("rows. Ask for less to see the rest.]")
    picture = {"contents": [{"uri": "file:///a", "blob": "A" * 5000}]}
    kept = truncate(picture, max_rows=0, max_bytes=1000, size=5000)
    assert "5000 bytes" in kept["contents"][0]["text"]
    assert "isError" not in kept
    image = {"content": [{"type": "image", "data": "A" * 5000, "mimeType": "image/png"}]}
    assert truncate(image, max_rows=0, max_bytes=1000, size=5000)["isError"] is True
    question = {"resultType": "input_required", "inputRequests": {"a": {"method": "x" * 5000}}}
    assert truncate(question, max_rows=1, max_bytes=1000, size=5000) is question


@pytest.mark.parametrize("value", ["plain", "Süd", " padded ", "a\nb", "=?base64?x?=", ""])
def test_a_header_value_comes_back_as_it_was(value: str) -> None:
    encoded = eras.encode_header(value)
    assert encoded.isascii()
    assert "\n" not in encoded
    assert eras.decode_header(encoded) == value


@given(st.text(max_size=20) | st.integers(-(10**18), 10**18))
def test_a_clients_id_comes_back_from_the_way_upstream(ident: Any) -> None:
    raw = json.dumps(ident).encode()
    hop = resume.hop_id(raw)
    assert json.loads(json.dumps(json.loads(hop)).encode())  # a JSON string, whatever the id was
    assert json.loads(resume.client_id(hop)) == ident


def test_a_seal_opens_for_its_purpose_until_it_expires() -> None:
    now = [0.0]
    seal = Seal(b"k" * 32, nonce=lambda: b"n" * 12, clock=lambda: now[0])
    sealed = seal.seal([1, "a"], purpose="p", ttl=10)
    assert seal.open(sealed, purpose="p") == [1, "a"]
    for broken, purpose in ((sealed, "q"), (sealed[:-1] + "A", "p"), ("", "p"), ("é", "p")):
        with pytest.raises(Broken):
            seal.open(broken, purpose=purpose)
    now[0] = 11.0
    with pytest.raises(Broken):
        seal.open(sealed, purpose="p")


def entry(name: str, description: str, **properties: str) -> Entry:
    schema = {"properties": {key: {"description": said} for key, said in properties.items()}}
    tree = {"name": name, "description": description, "inputSchema": schema}
    return Entry("s", name, name, json.dumps(tree).encode(), tree)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("read a file", "read_text_file"),
        ("what time is it in Tokyo", "get_current_time"),
        ("remember a fact about a person", "create_entities"),
        ("timezone", "get_current_time"),
        ("commit changes", "gitCommit"),
    ],
)
def test_a_search_finds_the_tool_that_a_few_words_mean(query: str, first: str) -> None:
    entries = [
        entry("read_text_file", "Read the complete contents of a file as text", path="where it is"),
        entry("write_file", "Create a new file or overwrite an existing one", path="", content=""),
        entry("get_current_time", "Get the current time", timezone="IANA name, such as Asia/Tokyo"),
        entry("create_entities", "Remember people and facts in the knowledge graph"),
        entry("gitCommit", "Records changes to the repository", message=""),
    ]
    assert disclosure.search(entries, query)[0].name == first
    assert disclosure.search(entries, "zzz") == []


def test_headers_of_parameters_follow_the_schema() -> None:
    schema = {"properties": {"a": {"type": "integer", "x-mcp-header": "A"},
                             "b": {"properties": {"c": {"type": "boolean", "x-mcp-header": "C"}}}}}  # fmt: skip
    found = eras.header_parameters(schema)
    assert found == {("a",): "A", ("b", "c"): "C"}
    made = eras.parameter_headers(found, {"a": 7, "b": {"c": True}})
    assert sorted(made) == [(b"mcp-param-a", b"7"), (b"mcp-param-c", b"true")]
    assert eras.parameter_headers(found, {"a": None}) == []
    for wrong in (
        {"type": "number"},
        {"type": "string", "x-mcp-header": "a b"},
        {"type": "string", "x-mcp-header": ""},
    ):
        with pytest.raises(ValueError, match="x-mcp-header"):
            eras.header_parameters({"properties": {"p": {"x-mcp-header": "P", **wrong}}})
    with pytest.raises(ValueError, match="x-mcp-header"):
        eras.header_parameters({"properties": {"p": {"items": {"type": "string", "x-mcp-header": "P"}}}})
