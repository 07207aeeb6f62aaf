"""The words that shells know: programs by their names, and what is left of a command line when its disguises are taken off.

Texts come folded: lower case, digits as 0.
"""

from __future__ import annotations

import re

# Names that are hardly words of a language: seen after a separator, they are commands.
_COMMANDS = """
tac ls whoami uname ifconfig ipconfig netstat wget curl nc ncat netcat bash sh zsh ksh dash csh tcsh python python0
perl ruby php nodejs lua gcc gcc0 gdb echo printf ps rm cp mv chmod chown chgrp chattr grep egrep fgrep awk gawk mawk
sed xargs sudo doas su nslookup dig telnet ssh scp sftp ftp tftp rsync cmd powershell pwsh systeminfo sysinfo tasklist
taskkill vi vim nano emacs tar gzip gunzip zip unzip bzip0 base00 xxd hexdump od whereis pwd df du crontab useradd
usermod userdel adduser addgroup groupadd passwd ansible docker podman kubectl git openssl socat nmap masscan tcpdump
iptables arp hostname mkfifo mknod mkdir rmdir eval certutil bitsadmin wmic rundll0 rundll00 mshta regsvr0 regsvr00
cscript wscript iex iwr irm iwmi icm saps netsh nohup setsid apt aptitude yum dnf apk pacman snap brew pip pip0 npm
npx yarn strace ltrace htop visudo chroot mount umount lsof ldd nm objdump tr tee wc uniq rev env printenv dir del rd
md attrib icacls cacls schtasks reg ping ping0 traceroute tracert pathping sqlite0 mysql psql mysqldump systemctl
journalctl dmesg insmod modprobe lsmod sysctl lsblk fdisk dd mkfs fsck blkid busybox ash gpg sha0sum md0sum sha000sum
phpinfo phpversion passthru shell_exec popen ipcalc iwconfig ethtool tshark hping hydra sqlmap msfconsole crackmapexec
rmt screen tmux zcat bzcat xzcat zgrep pgrep pkill killall ldconfig lscpu lsusb lspci dpkg rpm initctl cpan gem cargo
rustc javac jjs jrunscript ghci irb tclsh wish expect cat id getent
"""
COMMANDS = frozenset(_COMMANDS.split())
# Words of a language, too: commands where an option, a path or nothing follows.
_WORDS = """
type net touch head tail less more find kill host sleep timeout set export which strings w who last finger cut test
time top alias history sort date cal at man info service shutdown reboot halt exit cd ip make node read watch write
wall mail split join paste nice exec start copy move source route call query sc fish users groups login logout local
command builtin jobs bg fg disown trap declare unset cron chef look pico ed ex view dialog yes factor seq
"""
WORDS = frozenset(_WORDS.split())

_NAME = r"(?:/*(?:usr/+)?(?:local/+)?s?bin/+)?"
_SURE = "|".join(sorted(COMMANDS, key=lambda name: (-len(name), name)))
_MAYBE = "|".join(sorted(WORDS, key=lambda name: (-len(name), name)))
_GOES_ON = r"(?:\.exe)?\s*(?:$|[;&<>`)\n\"']|[-/.~$*0%]|[a-z0_]*[./\\][a-z0])"
SURE = rf"(?:{_NAME}(?:{_SURE})(?:\.exe)?\b|(?:get|set|new|start|invoke|add|remove|out)-[a-z]{{3,}})"
COMMAND = rf"(?:{SURE}|{_NAME}(?:{_MAYBE})\b{_GOES_ON})"

_SPACE = re.compile(r"\$\{?ifs\}?(?:\$0)?|\{(?=[a-z]+,)|(?<=[a-z]),(?=[^\s,]+\})")
_NOTHING = re.compile(
    r"''|\"\"|``|\\(?=[a-z0/])|\$[@*!_-]|\$\{[@*_]\}|\$\(\)|\$\{[a-z_]*#?\{?\}?\}|\^(?=[a-z])|\[(?=[a-z]\])|(?<=\[[a-z])\]"
    r"|(?<=[a-z/])['\"](?=[a-z/])|(?<=[a-z])[<>]\(\)(?=[a-z])"
)


def plain(text: str) -> str:
    """A command line without what a shell drops: empty quotes and expansions, needless escapes, other words for a space."""
    return _NOTHING.sub("", _SPACE.sub(" ", text))
