"""Places in a file system that matter to whoever takes a machine over: what they hold, told by the path alone."""

from __future__ import annotations

import re

_HOME = r"(?:~[\w.-]*|\$HOME|\$\{HOME\}|/root|/home/[^/]+|/Users/[^/]+|%USERPROFILE%|\$env:USERPROFILE|C:[\\/]Users[\\/][^\\/]+)"
_VITAL = re.compile(
    rf"(?:{_HOME}|/|/\.|/(?:etc|usr|var|home|bin|sbin|lib|lib64|boot|root|opt|dev|sys|proc|srv|Users|System|Library|Applications|mnt)"
    r"|[A-Za-z]:[\\/]*|[A-Za-z]:[\\/](?:Windows|Users))(?:[\\/]+(?:\.?\*)?|(?<=[\\/])\*)?",
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
    r"(?:^|.*[/\\])(?:\.ssh[/\\](?:id_[\w-]+|[\w.-]*(?:_rsa|_ed25519|_ecdsa|_dsa)|\*|identity|\.?)|\.ssh|\.aws(?:[/\\](?:credentials|\*|sso.*)?)?|\.gnupg(?:[/\\].*)?|\.netrc|_netrc|\.git-credentials|\.pgpass"
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


def vital(path: str) -> bool:
    """What a machine cannot do without, as a whole."""
    return _VITAL.fullmatch(path) is not None


def disk(path: str) -> bool:
    return _DISK.fullmatch(path) is not None


def account(path: str) -> bool:
    """Who may do what on the machine."""
    return _ACCOUNT.fullmatch(path) is not None


def runs_later(path: str) -> bool:
    """What somebody's shell, the clock or the system's start will run."""
    return _LATER.match(path) is not None or account(path)


def credential(path: str) -> bool:
    """What lets its holder in somewhere."""
    return _CREDENTIAL.match(path) is not None and not _PUBLIC.match(path)


def private(path: str) -> bool:
    """A credential, or what often holds some."""
    return credential(path) or (_PRIVATE.match(path) is not None and not _PUBLIC.match(path))


def record(path: str) -> bool:
    """Where a shell or the system writes down what was done."""
    return _RECORD.match(path) is not None
