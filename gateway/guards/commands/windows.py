"""What only Windows knows, by how it is written: neither cmd nor PowerShell reads quotes and backslashes as other shells do."""

from __future__ import annotations

from functools import cache
from typing import Any

import re2

from gateway.guards.commands.runs import Runs

_ROOT = r"(?:[a-z]:|\$env:systemdrive|%systemdrive%)(?:\\+(?:windows|users)?\\*\*?)?(?:\s|$)"
_RULES = {
    "runs_download": r"certutil\b.*[-/]urlcache|mshta\s+(?:https?:|javascript:|vbscript:)|regsvr32\b.*/i:https?:|rundll32\s+javascript:|msiexec\b.*\shttps?:",
    "destroys": rf"(?:del|erase)\s.*/s.*\s{_ROOT}|(?:rd|rmdir)\s.*/s.*\s{_ROOT}|(?:remove-item|ri)\s.*-r.*\s{_ROOT}|(?:remove-item|ri)\s+(?:-path\s+)?{_ROOT}.*-r"
    r"|format\s+[a-z]:|vssadmin\b.*delete\s+shadows|wmic\b.*shadowcopy.*delete|wbadmin\b.*delete|bcdedit\b.*recoveryenabled\s+no|clear-disk\b|format-volume\b|cipher\b.*/w:[a-z]:\\*(?:\s|$)",
    "persists": r"reg\s+add\s.*\\(?:currentversion\\run|winlogon|image file execution options)|(?:new|set)-itemproperty\s.*\\(?:currentversion\\run|winlogon|image file execution options)"
    r"|schtasks\b.*/create|register-scheduledtask\b|net1?\s+user\s.*/add|net1?\s+localgroup\s+administrators\s.*/add|new-localuser\b|add-localgroupmember\b.*administrators|sc\s+create\b"
    r"|(?:copy|copy-item|move|xcopy)\s.*\\start menu\\programs\\startup",
    "covers_tracks": r"wevtutil\s+(?:cl|clear-log)\b|(?:clear|remove)-eventlog\b|(?:set|add)-mppreference\s.*-(?:disable|exclusion)|netsh\s+advfirewall\s.*state\s+off|auditpol\s.*/(?:clear|remove)"
    r"|fsutil\s+usn\s+deletejournal|(?:stop-service|sc\s+(?:stop|config|delete)|net\s+stop)\s.*(?:windefend|sense|eventlog|mpssvc)|clear-history\b|remove-item\s.*consolehost_history|set-psreadlineoption\s.*savenothing"
    r"|.*amsiinitfailed",
    "reads_credentials": r"reg\s+save\s+hk(?:lm|ey_local_machine)\\(?:sam|security|system)\b|rundll32\b.*comsvcs.*minidump|procdump\S*\s.*lsass|\S*(?:mimikatz|pypykatz|gsecdump|lazagne)\b|ntdsutil\b.*ifm|invoke-mimikatz\b"
    r"|(?:copy|copy-item|esentutl)\s.*\\(?:ntds\.dit|config\\sam)\b",
}  # fmt: skip
_START = r"(?i)[\s&({@.]*(?:\S*[\\/])?"
_DROPPED = str.maketrans("", "", "\"'^`")


@cache
def _patterns() -> Any:
    found = re2.Set.MatchSet()
    for rule in _RULES.values():
        found.Add(f"{_START}(?:{rule})")
    found.Compile()
    return found


def fired(line: Runs) -> set[str]:
    """The names of the rules that a program of this line breaks."""
    names, match = list(_RULES), _patterns().Match
    return {names[index] for run in line.all if run.raw for index in match(_plain(run.raw)) or ()}


def _plain(raw: str) -> str:
    """Without quotes and escapes, and programs without their ending."""
    return " ".join(raw.translate(_DROPPED).replace(".exe ", " ").split())
