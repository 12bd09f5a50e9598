#!/usr/bin/env python3
"""The man page, from what the program says of itself.

    cross/manual.py [RUNNER] PROGRAM

RUNNER is what runs a program for another machine, e.g. qemu-aarch64-static.
"""

import re
import subprocess
import sys

HEAD = r'''.\" Made by cross/manual.py from the program's own help; do not edit.
.TH AMPGATE 1 "" "ampgate" "User Commands"
.SH NAME
ampgate \- keeps an EV charging site inside its breakers
.SH DESCRIPTION
The OCPP 1.6 central system on the box of a charging site. It reads meters over MQTT, tells each
charger how much its car may draw, and sees to it that no breaker carries more than its rating,
whatever message is lost. Most commands ask the running daemon at its page on this machine.
'''

TAIL = r'''.SH FILES
.TP
.I /etc/ampgate/site.toml
The site. Examples are in /usr/share/doc/ampgate/examples.
.TP
.I /etc/default/ampgate
Environment of the daemon.
.TP
.I /var/lib/ampgate
What it remembers; see operating.md.
.SH ENVIRONMENT
.TP
.B AMPGATE_LOG
The least severe lines that are shown: error, warn, info, debug or trace; with commas, those of
modules: info,ocpp=debug.
.SH EXIT STATUS
0, or 1 when what was asked did not work, or 2 for a mistake in words or configuration.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
'''


def said(program, *words):
    return subprocess.run([*program, *words, "--help"], check=True, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL).stdout


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in text.splitlines())


def commands(help_text):
    found = re.search(r"^Commands:\n((?:  .*\n)+)", help_text, re.M)
    names = re.findall(r"^  (\S+)", found.group(1), re.M) if found else []
    return [name for name in names if name != "help"]


def walk(program, *words):
    text = said(program, *words)
    yield words, text
    for name in commands(text):
        yield from walk(program, *words, name)


def page(program):
    out = [HEAD, ".SH COMMANDS\n"]
    for words, text in walk(program):
        if words:
            out.append(f".SS {escaped('ampgate ' + ' '.join(words))}\n")
        out.append(f".nf\n{escaped(text.rstrip())}\n.fi\n")
    return "".join(out) + TAIL


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1:]))
