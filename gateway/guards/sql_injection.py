"""Values that break out of a SQL string or number. What is a whole query by right is parsed instead, in `sql_arguments`."""

from __future__ import annotations

import re

from gateway.guards.judged import Judged

RULES = {
    "tautology": r"(?:\b(?:or|and|xor|having|where)\b|\|\||&&)[\s(+/*]*(?:not\b|!|~)?[\s(]*[\"'`]?[\w.@-]{0,20}[\"'`)]*\s*(?:=|<|>|!=|<>|<=>|r?like\b|regexp\b|sounds like\b)\s*[(\"'`\w@-]",
    "condition": r"(?:\b(?:or|and|xor|having|where|when)\b|\|\||&&)[\s(+/*]*(?:not\b|!|~)?[\s(]*[\"'`]?[\w.@-]{0,20}[\"'`)]*\s*\b(?:is\s+(?:not\s+)?(?:null|true|false|unknown|0)\b|(?:not\s+)?in\s*\(|(?:not\s+)?between\s+\S+\s+and\b)",
    "quote_operator": r"[\"'`´]\s*[)]*\s*\b(?:or|xor|union|having|group by|order by|like|rlike|regexp|between|div|procedure|into|sounds|collate|and)\b(?:\s+\S|[(@0!~+-]|\s*[\"']\S)",
    "quote_word": r"[\"'`´]\s*[)]*\s*\b(?:in|is|not|mod|limit|as|from)\b",
    "quote_symbol": r"[\"'`´]\s*[)]*\s*(?:\|\||&&|[+*/%^=<>&|-]+\s*[(\"'`@0-9])",
    "quote_closes": r"^[^\"'\s]{0,20}[\"'`]\s*[);]*\s*(?:--|#|/\*|;|$)",
    "comment_end": r"(?:--[\s+-]*|#\s*|/\*[^*]*\*?/?|;?\x00|;%00)$",
    "inline_comment": r"/\*!?[^*]{0,20}\*/",
    "union_select": r"\bunion(?:[\s(+!]|%0[0-9a-d]|/\*[^*]{0,30}\*/|\*/|/\*!0*|\ball\b|\bdistinct(?:row)?\b)+(?:un)?select(?:[^a-z]|$)",
    "stacked": r"[\"'0-9)\w]\s*;+\s*(?:select\s*(?:[*@('\"+-]|0\b\s*(?:[,;#-]|from|$)|[\w.]+\s*(?:,|\(|$)|[^;]{1,60}\bfrom\b)|insert\s+(?:into|ignore)\b|update\s+\S+\s+set\b|delete\s+from\b|(?:drop|alter|create)\s+(?:or replace\s+)?(?:table|database|user|view|procedure|function|trigger|index|schema|login|role|temp\w*)\b|exec(?:ute)?\b\s*(?:[('\"@]|xp_|sp_|master|immediate)|declare\s+@?\w+|shutdown\b|waitfor\b|begin\b\s*(?:$|;|declare|dbms|tran)|truncate\s+(?:table\s+)?\w+|load\s+(?:data|xml|file)|set\s+@?\w+\s*=|if\s*\(|grant\s+[\w, ]{1,60}\s(?:on|to)\b|revoke\s+[\w, ]{1,60}\s(?:on|from)\b|call\s+\w+\s*\(|copy\s+\w+\s+(?:from|to)\b|merge\s+into\b|replace\s+into\b|handler\s+\w+\s+(?:open|read)\b|prepare\s+\w+\s+from\b|attach\s+database\b|rename\s+table\b|vacuum\b|rollback\b|commit\b|go\s*$)",
    "leading_keyword": r"^\s*[\"'`(0-9-]{1,6}\s*(?:or|and|union|having|select|order by|group by|exec)\b",
    "subselect": r"\(\s*select\b",
    "case_select": r"\(\s*(?:select\s+)?case\s+when\b|\bif\s*\(\s*[\w@('\"]+\s*[=<>]|\biif\s*\(|,\s*\(\s*select\b",
    "slow_function": r"\b(?:sleep|benchmark|pg_sleep|dbms_pipe\.receive_message|randomblob|dbms_lock)\s*\((?:\s*[^\s)]|\s*$)|dbms_lock\.|waitfor\s+(?:delay|time)",
    "dangerous_function": r"\b(?:xp_\w+|sp_\w+|load_file|load_extension|into\s+(?:out|dump)file|extractvalue|updatexml|utl_http|utl_inaddr|dbms_\w+|procedure analyse|char|chr|concat(?:_ws)?|unhex|hex|ascii|ord|mid|substr(?:ing)?|convert|cast|exec)\s*\(|\bxp_cmdshell\b",
    "metadata": r"information_schema|sysobjects|syscolumns|sqlite_master|all_tables|user_tables|pg_catalog|mysql\.user|msysaccessobjects|\bsys\.",
    "server_variable": r"@@?[a-z_]+|\b(?:version|database|user|current_user|system_user)\s*\(\s*\)",
    "hex_literal": r"\b0x[0-9a-f]{2,}",
    "whole_query": r"^\s*(?:select|with|insert into|update|delete from|create|alter|drop|merge|explain)\b.{0,400}\b(?:from|values|set|table|as)\b",
}  # fmt: skip

_MARK = re.compile(
    r"[\"'`´;#=|&@(*<>^%!~\x00]|--|/\*|\b(?:select|union|or|and|having|order by|waitfor|exec)\b"
)
_STATEMENT = re.compile(
    r"\s*(?:select|with|insert into|update|delete from|merge|explain|show|describe|alter (?:table|index|view)|create (?:table|index|unique|view|or replace|materialized)|comment on|analyze)\b"
)
_SCRIPT = re.compile(r"\s*(?:begin|start transaction)(?: \w+)?\s*;.*\b(?:commit|rollback)\s*;?\s*$", re.S)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_FORBIDDEN = re.compile(
    r"(?:--|#)[^'\"]*$|/\*|;|@@|\b(?:sleep|benchmark|pg_sleep|waitfor|load_file|outfile|dumpfile|extractvalue|updatexml|sysobjects|chr|char)\b"
    r"|\b(?:or|and) (?:''|0+) ?= ?(?:''|0+)$"
)
# Columns compared with values, each on its right side: what filters are made of, and no way out of one.
_TERM = r"\(?(?:not )?[a-z_][\w.]* ?(?:[=<>!]=?|<>|like|ilike|eq|ne|gt|ge|lt|le|is|is not) ?(?:'[^']*'|\"[^\"]*\"|-?0+(?:\.0+)?|true|false|null)\)?"
_FILTER = re.compile(rf"\s*{_TERM}(?: (?:and|or) {_TERM})*\s*$")


def worth(folded: str) -> bool:
    """A statement that stands on its own, or a whole filter, breaks out of nothing: what it may do is decided elsewhere."""
    if _SCRIPT.match(folded):
        return False
    if _FILTER.match(folded):
        return False
    if _STATEMENT.match(folded) and not _FORBIDDEN.search(_LITERAL.sub("''", folded)):
        return any(folded.count(quote) % 2 for quote in "'\"`") or folded.count("(") != folded.count(")")
    return _MARK.search(folded) is not None


SCANNER = Judged("sql_injection", RULES, kind="payload", worth=worth, by_field=True)
