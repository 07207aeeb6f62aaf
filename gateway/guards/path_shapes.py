"""What is written for dots, slashes and targets when a path climbs out, as facts."""

from __future__ import annotations

import re

# A percent-encoded byte that never starts a character, or a longer form of a short one: only attacks write these.
OVERLONG = re.compile(
    r"%(?:25)*(?:c[01](?:%|\.|[0-9a-f]{2})|e0%(?:25)*[89][0-9a-f]|f0%(?:25)*8[0-9a-f]|f[8-d]%|bg%(?:25)*qf)|\\\\x(?:c[01]|e0\\\\x[89]|f0\\\\x8)",
    re.I,
)
# Dots written as bytes next to dots, or letters that nobody needs to encode.
ENCODED_DOTS = re.compile(r"%(?:25)*2e(?:\.|%(?:25)*2e)|\.%(?:25)*2e|(?:%%3[2e]%*[36]\d){2}", re.I)
NEEDLESS = re.compile(r"(?:%(?:25)*(?:2e|2f|[46][1-9a-f]|[57][0-9a])){4,}", re.I)
WIDE = re.compile(r"[%\\][uU]([0-9a-fA-F]{4})")
BYTE = re.compile(r"[0\\][xX]([0-9a-fA-F]{2})")
OCTAL = re.compile(r"\\0?(5[67]|134)(?!\d)")
# Readers of URLs take these out.
GAPS = re.compile(r"[\t\r\n\x0b\x0c](?<=[./\\].)[\t\r\n\x0b\x0c]*(?=[./\\])", re.S)
BARE = re.compile(r"(?<=\.\.)(2f|5c|u2215|u2216)", re.I)
SENSITIVE = re.compile(
    r"(?:^|/)(?:etc/(?:passwd|shadow|group|hosts|issue|master\.passwd|security/passwd|sudoers)|boot\.ini|win\.ini|system\.ini|"
    r"windows/(?:system32|win\.ini|repair)|winnt/|proc/(?:self|version|cmdline|\d+)/?|\.ssh/|id_rsa|web-inf/|\.htpasswd|\.aws/credentials|"
    r"var/log/|global\.asa|sam$)",
    re.I,
)
ABSOLUTE = re.compile(
    r"(?:[a-z]:)?/+(?:etc/(?:passwd|shadow|master\.passwd|security/passwd|sudoers)|boot\.ini|win(?:dows|nt)/(?:win\.ini|system32/|repair/)"
    r"|proc/self/|root/\.ssh/|inetpub/.*global\.asa)(?:[/\x00?]|$|(?<=/))",
    re.I,
)
# Streams that a server opens instead of a file, the secrets of a home directory, and whole disks of another machine.
ELSEWHERE = re.compile(
    r"(?:php|phar|expect|zip|glob|rar|ogg|ssh0|compress\.(?:zlib|bzip2))://|jar:(?:file|https?):|netdoc:|/{2,}[\w.-]+/(?:[a-z]|admin|ipc)\$(?:/|$)|/{2}[.?]/|\?\?/[a-z]:"
    r"|(?:~[\w-]*|\$(?:home|\{home\})|%userprofile%|%homepath%|/root|/home/[\w.-]+|/?(?:[a-z]:)?/users/[\w.-]+)/\.(?:ssh|aws|kube|docker|gnupg|netrc|git-credentials|pgpass|npmrc|pypirc|bash_history|config/gcloud|config/gh|profile|bashrc|zshrc)\b|/?(?:[a-z]:)?/users/[\w.-]+/(?:library/keychains|appdata/(?:local|roaming)/(?:google|mozilla|microsoft))|/?(?:[a-z]:)?/windows/(?:ntds|system32/config)/|/etc/(?:gshadow|ssh/ssh_host|krb5\.keytab|ssl/private)"
    r"|/proc/(?:\d+|self|thread-self)/|/var/run/(?:docker\.sock|secrets/)|/dev/(?:[hsv]d[a-z]\d*|mem|kmem)$",
    re.I,
)
# Where nobody's own files climb to: at once, and from further away (a module may be called `home`).
SYSTEM = re.compile(r"(?:etc|root|proc|var|usr|boot|windows|winnt|inetpub|program files)(?:/|$)", re.I)
FAR_SYSTEM = re.compile(r"(?:users|home|tmp|srv|opt|dev|sys|mnt|data|app)/", re.I)
FAR, FURTHER = 4, 6  # steps up; no project is so deep that its own files are further away
# A module's path, and a bundler's name for one.
OWN = re.compile(r"(?:\.\./)+node_modules/|(?:webpack|rollup|vite|rsc)(?:-[\w-]+)?://", re.I)
JOINED = re.compile(r"^/(?:[\w-]+/)*[A-Za-z][\w-]*\.\./\.?\w")  # "/static../x": the prefix's slash is missing
MANY_DOTS = re.compile(r"\.{3,}/+\.{3,}/")
REQUESTED = re.compile(
    r"(?:(?:get|put|post|head|delete|patch|options|propfind|move|copy) /|[a-z][a-z0-9+.-]{1,10}://[^/\s]+/)",
    re.I,
)
NAMED = frozenset({"path", "file", "filename", "file_name", "filepath", "file_path", "paths", "files", "uri", "url", "key", "name", "entry", "member",
                    "source", "src", "destination", "dest", "dst", "target", "from", "to", "directory", "dir", "folder", "root", "cwd", "output", "input",
                    "resource", "template", "page", "include", "document", "location", "object", "attachment", "image", "download", "save_as"})  # fmt: skip
LEAF = re.compile(r"(?:^|/)etc/(?:passwd|shadow)(?:[\x00;?].*)?$|(?:^|/)(?:boot|win)\.ini$", re.I)
DOTTED = re.compile(
    r"(?:^|/)\.{3,}/(?:.*/)?\.{2,}(?:/|$)|(?:\./){8,}|(?:^|/)\.{24,}/|(?:^|/)\.{3,}/+(?:etc|windows|winnt|boot)\b",
    re.I,
)
BEGINS = re.compile(r"(?:\.{1,2}|~)?[/\\]|[a-z]:[/\\]", re.I)  # a path may hold spaces and brackets
LINES = re.compile(r"[\n\"'`<>{}=]")
PROSE = re.compile(r"[\s\"'`()<>{}\[\],=]")
# These stand for slash and backslash in the best-fit mappings that some servers apply.
SLASHES = str.maketrans({"\\": "/", "∕": "/", "⁄": "/", "∖": "/", "／": "/", "＼": "/", "\uf025": "/", "\uefc8": "/",
                          "．": ".", "\u2024": ".", "\ufffd": "?"})  # fmt: skip


LONGEST_PROSE = 32 * 1024  # characters in which words are decoded one by one
DISGUISED = re.compile(r"[%\\&\u2024\u2044\u2215\u2216\uff0e\uff0f\uff3c]|0x2|\.{2}(?:2f|5c)", re.I)
CLIMB = re.compile(r"(?:^|[^.\w])\.\.[\x00-\x20;?]*/|/\.\.(?:/|$)")
NAME = re.compile(r"\w{2,}")
FILE = re.compile(r"file:/{1,3}(?:etc/|proc/|root/|windows/|[a-z]:/|(?:home|users)/[^/]+/\.)", re.I)
