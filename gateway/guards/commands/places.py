"""Places in a file system that matter to whoever takes a machine over: what they hold, told by the path alone."""

from __future__ import annotations

import re
from posixpath import normpath

_HOME = r"(?:~[\w.-]*|\$HOME|\$\{HOME\}|/root|/home/[^/]+|/Users/[^/]+|%USERPROFILE%|\$env:USERPROFILE|C:[\\/]Users[\\/][^\\/]+)"
_ROOTS = r"etc|usr|var|bin|sbin|lib|lib64|boot|dev|sys|proc|System|Library"
_ALL_OF_IT = r"(?:[\\/]+(?:\.?\*)?|(?<=[\\/])\*)?"
_SYSTEM = re.compile(rf"(?:/|/\.|/(?:{_ROOTS})|[A-Za-z]:[\\/]*|[A-Za-z]:[\\/]Windows){_ALL_OF_IT}")
_VITAL = re.compile(
    rf"(?:{_HOME}|/(?:home|root|opt|srv|mnt|Users|Applications)|[A-Za-z]:[\\/]Users){_ALL_OF_IT}|{_SYSTEM.pattern}"
)
_DISK = re.compile(
    r"/dev/(?:[shv]d[a-z]\d*|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|r?disk\d+(?:s\d+)?|xvd[a-z]\d*|mapper/\S+|md\d+)|\\\\\.\\physicaldrive\d+",
    re.I,
)
_ACCOUNT = re.compile(r"/etc/(?:passwd|shadow|gshadow|sudoers|sudoers\.d/.+|pam\.d/.+|ssh/sshd_config)-?")
_LATER = re.compile(
    r"(?:^|.*/)(?:\.ssh/(?:authorized_keys2?|rc|environment)|\.(?:bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zprofile|zshenv|zlogin|cshrc|tcshrc|kshrc|shrc|login|xinitrc|xprofile)"
    r"|\.config/(?:autostart/.+|fish/config\.fish|systemd/user/.+)|Library/Launch(?:Agents|Daemons)/.+)$"
    r"|/etc/(?:cron[.\w]*(?:/.*)?|anacrontab|profile(?:\.d/.*)?|bash\.bashrc|bashrc|zshenv|zprofile|rc\.local|rc\.d/.+|init\.d/.+|systemd/system/.+|ld\.so\.preload|ld\.so\.conf\.d/.+"
    r"|update-motd\.d/.+|xdg/autostart/.+|environment)|/var/spool/(?:cron|at)/?.*|(?:/usr)?/lib/systemd/system/.+"
)
_CREDENTIAL = re.compile(
    r"(?:^|.*[/\\])(?:\.ssh[/\\](?:id[_*?][\w*?-]*|[\w.-]*(?:_rsa|_ed25519|_ecdsa|_dsa)|\*|identity|\.?)|\.ssh|\.aws(?:[/\\](?:cred[\w*?]*|\*|sso.*)?)?|\.gnupg(?:[/\\].*)?|\.netrc|_netrc|\.git-credentials|\.pgpass"
    r"|\.docker[/\\]config\.json|\.config[/\\]gcloud(?:[/\\].*(?:credentials|tokens).*|[/\\]?)|\.config[/\\]gh[/\\]hosts\.yml|\.azure[/\\].*[tT]oken.*|\.password-store(?:[/\\].*)?"
    r"|Login Data|logins\.json|key[34]\.db|cookies\.sqlite|wallet\.dat|\.ethereum[/\\]keystore.*|\.config[/\\]solana[/\\]id\.json|\.electrum[/\\]wallets.*|login\.keychain(?:-db)?|ntds\.dit)$"
    r"|/etc/(?:shadow|gshadow|master\.passwd|krb5\.keytab|ssh/ssh_host_\w+_key)-?$|/proc/(?:\d+|self|\*|\$\w+)/environ$"
)
_PUBLIC = re.compile(r".*\.pub$")
_PRIVATE = re.compile(
    r"(?:^|.*[/\\])(?:\.vault-token|\.env(?:\.(?!example|sample|template|dist)[\w.-]+)?|\.npmrc|\.pypirc|\.kube[/\\]config|credentials(?:\.json|\.csv)?|secrets?\.(?:ya?ml|json|env|toml)|\.bash_history|\.zsh_history"
    r"|[\w.-]+\.(?:pem|key|p12|pfx|keystore|jks|kdbx|ppk)|\.git[/\\]config|terraform\.tfstate)$|/etc/passwd$"
)


_RECORD = re.compile(
    r"(?:^|.*[/\\\\])(?:\.(?:bash|zsh|python|mysql|psql|node_repl|sh)_history|fish_history)$"
    r"|/var/log(?:/\*?|/(?:auth\.log|secure|syslog|messages|wtmp|btmp|lastlog|audit|audit/.*|journal|journal/.*)\*?)?$|/var/run/utmp$"
)
LONGEST = 4096  # of a path that a system opens


def _plain(path: str) -> str:
    """Without detours: `/etc/./shadow`, `//etc/../etc/shadow`."""
    if len(path) > LONGEST:
        return ""
    if "//" in path or "/." in path:
        path = normpath(path)
        return path[1:] if path.startswith("//") else path
    return path


def system(path: str) -> bool:
    """What a machine cannot do without, as a whole."""
    return _SYSTEM.fullmatch(_plain(path)) is not None


def vital(path: str) -> bool:
    """That, or all that somebody has there."""
    return _VITAL.fullmatch(_plain(path)) is not None


def disk(path: str) -> bool:
    return _DISK.fullmatch(_plain(path)) is not None


def account(path: str) -> bool:
    """Who may do what on the machine."""
    return _ACCOUNT.fullmatch(_plain(path)) is not None


def runs_later(path: str) -> bool:
    """What somebody's shell, the clock or the system's start will run."""
    return _LATER.match(_plain(path)) is not None or account(path)


def credential(path: str) -> bool:
    """What lets its holder in somewhere."""
    return _CREDENTIAL.match(_plain(path)) is not None and not _PUBLIC.match(_plain(path))


def private(path: str) -> bool:
    """A credential, or what often holds some."""
    return credential(path) or (_PRIVATE.match(_plain(path)) is not None and not _PUBLIC.match(_plain(path)))


def record(path: str) -> bool:
    """Where a shell or the system writes down what was done."""
    return _RECORD.match(_plain(path)) is not None
