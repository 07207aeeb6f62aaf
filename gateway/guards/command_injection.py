"""Values that make a shell run something else: separators before commands, substitutions, code for an interpreter."""

from __future__ import annotations

import re

import re2

from gateway.guards import shell_words
from gateway.guards.features import KINDS
from gateway.guards.judged import Judged

_COMMAND = shell_words.COMMAND

RULES = {
    "separator_command": rf"(?:;|\|\|?|&&?|%0a|%0d|\\n|\\r)\s*[\"'\\({{!]*\s*{_COMMAND}|\n\s*[\"'(]*{shell_words.SURE}",
    "command_alone": rf"^\s*[\"'(]*{_COMMAND}",
    "starts_with_separator": r"^\s*[\"')]*\s*(?:;|\|\|?|&&?|`|\$\(|%0a|%0d|%00|\\n|\n|<|\^|!)",
    "ends_with_separator": r"(?:;|\||&|`|%0a|\\n|#)\s*[\"')]*$",
    "substitution": rf"[$<>]\(\s*[`\"']?{_COMMAND}|`\s*{_COMMAND}[^`]*`",
    "any_substitution": r"\$\([^)\d][^)]*\)|`[^`\s]+(?:\s[^`]{1,40})?`|\$\{[^}]*\}",
    "expansion": r"\$\{?ifs\b|\$@|\$\*|\$!|\$0\b|\$[a-z]{1,3}[;|]|\{[a-z]+,[^}]+\}|\$\{[a-z]+:0:0\}|''|\"\"[a-z]|[a-z]\\[a-z]\\|[a-z]['\"][a-z]['\"][a-z]",
    "ansi_quote": r"\$'[^']*\\|=\$['\"]",
    "pipe_to_shell": r"\|\s*(?:ba|z|k|da)?sh\b|<<<|\|\s*(?:base00|xxd|perl|python)",
    "redirect": r"(?:[0-2]?>{1,2}\s*(?:/|&[0-2]|nul|[a-z]:)|<\s*/)",
    "code_call": r"\b(?:system|passthru|shell_exec|popen|proc_open|exec|eval|phpinfo|os\.system|subprocess\.\w+|runtime\.getruntime\(\)\.exec|sleep)\s*\(",
    "php_tag": r"<\?(?:php|=)|<!--#(?:exec|include)",
    "sensitive": r"/etc/(?:passwd|shadow|hosts|group)|\bc:[\\/]|%systemroot%|\\windows\\|/bin/(?:ba)?sh|boot\.ini|win\.ini|\$_(?:get|post|request)",
    "batch": r"\bfor\s+(?:/f\b|%)|\bset\s+\w+=|%\w+%|/c\s+\w|\bif (?:not )?(?:defined|exist)\b",
    "function_bomb": r"\(\)\s*\{",
    "placeholder": r"\{cmd\}",
    "quote_break": r"[\"')]\s*(?:;|\||&)\s*\S",
    "sleep": r"\b(?:sleep|ping -[nc]|timeout)[\s$({]+(?:ifs)?\}?\d",
}  # fmt: skip

_MARK = re.compile(
    r"[;|&`$<>\n{}%\\^!]|\(\s*['\"]|\b(?:system|exec|eval|passthru|sleep|etc|cmd|bin)\b|\w['\"]\w['\"]"
)

_TELLS = rf"(?:^|[^a-z0_.-]){_COMMAND}|/etc/[a-z]|/bin/[a-z]"


class CommandInjection(Judged):
    """Reads a value twice: as it stands, and without what a shell would drop from it. A document is read once."""

    def marks(self, piece: str) -> list[str]:
        found = super().marks(piece)
        if len(piece) >= KINDS[self.kind].width:
            return found
        plain = shell_words.plain(piece)
        if plain != piece and len(_tells(plain)) > len(_tells(piece)):
            found.append("disguised")
        return found


def _tells(text: str) -> list[str]:
    return re2.findall(_TELLS, text)  # type: ignore[no-any-return]


SCANNER = CommandInjection(
    "command_injection", RULES, kind="payload", worth=lambda folded: _MARK.search(folded) is not None
)
