"""Values that make a shell run something else: separators before commands, substitutions, code for an interpreter."""

from __future__ import annotations

import re

from gateway.guards.judged import Judged

_COMMANDS = (
    r"(?:/?(?:usr/)?(?:local/)?s?bin/)?(?:cat|tac|ls|dir|id|whoami|uname|ifconfig|ipconfig|netstat|ping|wget|curl|nc|ncat|bash|sh|zsh|ksh|dash|python0?|perl|ruby|php|node|echo|printf"
    r"|type|net|ps|rm|cp|mv|chmod|chown|touch|head|tail|less|more|grep|e?grep|awk|sed|find|xargs|sudo|su|kill|nslookup|dig|host|ftp|telnet|ssh|scp|sleep|timeout|env|set|export|cmd(?:\.exe)?"
    r"|powershell|pwsh|systeminfo|sysinfo|tasklist|reg|vim?|nano|tar|zip|base\d+|xxd|strings|which|whereis|pwd|cd|w|who|last|df|du|mount|crontab|useradd|usermod|passwd|ansible[\w-]*|chef[\w-]*|docker|kubectl|git|make|gcc"
    r"|openssl|socat|nmap|tcpdump|iptables|arp|route|hostname|mkfifo|mknod|eval|exec|source|start|copy|del|rd|attrib|certutil|bitsadmin|wmic|rundll\d+|mshta|regsvr\d+)"
)

RULES = {
    "separator_command": rf"(?:^|[\s\w\"')}}%.])?(?:;|\|\|?|&&?|\n|%0a|%0d|\\n|\\r)\s*[\"'\\(]*{_COMMANDS}\b",
    "starts_with_separator": r"^\s*[\"')]*\s*(?:;|\|\|?|&&?|`|\$\(|%0a|%0d|%00|\\n|\n|<|\^|!)",
    "ends_with_separator": r"(?:;|\||&|`|%0a|\\n|#)\s*[\"')]*$",
    "substitution": rf"\$\(\s*[`\"']?{_COMMANDS}\b|`\s*{_COMMANDS}\b[^`]*`",
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

SCANNER = Judged(
    "command_injection", RULES, kind="payload", worth=lambda folded: _MARK.search(folded) is not None
)
