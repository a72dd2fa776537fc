#!/usr/bin/env python3
"""What an enemy drops: things that are no files, contents that are no CSV, names and values that mean harm.

    tests/stress/hostile.py [--build DIR] [--mib N] [--keep] [PART...]

Each part is a table. `things` and `contents` lie in one drop directory among good files; `check` must give each its
exact violations, then `merge`, and in a second directory the daemon, must come to the same: the good ones merged, the
bad ones in quarantine byte for byte with these violations, the rest waiting for the exact reason, untouched; and
nothing outside the data directory was opened. `huge` are files of N MiB (default 192) that must not cost memory,
`bombs` packed ones. `names` and `values` are merged, rejected and shown everywhere; what is shown is read back, and
holds no control byte.
`patterns` are regular expressions that explode, `limits` files of a million columns. Without PART, all of them. Prints
TAP.
"""
import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(TESTS, "lib")]

from kill import METRICS, Report as Tap
from playground import Guard, Options, Site, printable, wait_for

RSS_LIMIT = 64  # MiB
MIB = [192]     # of a huge file
SECRET = b"root:$6$SECRETmarker$:19000:0:99999:7:::\n"
H = METRICS.encode()
R = b"1,2,3,4,5,6,7,8,idle"
NO_HEADER = "1:extra-label " * 9 + "1:missing-label " * 9


class Report(Tap):
    """Also counts the hostile cases: a name by which one was dropped is as expected if no check of it failed."""

    def __init__(self):
        super().__init__()
        self.cases, self.bad = set(), set()

    def case(self, name, text, wrong):
        self.cases.add(name)
        if wrong:
            self.bad.add(name)
        self(text, wrong)

    def tell_cases(self):
        print("# hostile: %d cases, %d as expected" % (len(self.cases), len(self.cases - self.bad)))


def row(first=b"1", cpu=b"2", phase=b"idle"):
    return b"%s,%s,3,4,5,6,7,8,%s\n" % (first, cpu, phase)


def good(number):
    """A file whose rows are like those of no other."""
    return H + b"\n" + b"".join(b"%d.%d,2,3,4,5,6,7,8,idle\n" % (number, i) for i in range(1, 4))


def control_bytes(output, allowed="\n"):
    """What a terminal might obey, or a person misread; and what is no UTF-8."""
    try:
        text = output.decode()
    except UnicodeDecodeError as error:
        return ["no UTF-8: %s" % error]
    return ["%r in %r" % (c, text[max(0, at - 40):at + 20]) for at, c in enumerate(text)
            if c not in allowed and printable(c.encode()) != c and c != "\\"][:3]


# --- the tables ----------------------------------------------------------------------------------------------------

def make_things(site):
    """What is no plain file, or none of the sender's: (name, what check says, what it waits for; "": ignored)."""
    drop, secret = site.drop, os.path.join(site.outside, "secret.csv")
    Site.write(secret, SECRET)
    os.chmod(secret, 0o600)
    os.mkdir(os.path.join(site.outside, "dir.csv"))
    Site.write(os.path.join(site.outside, "good.csv"), good(999))
    links = {"link-absolute": secret, "link-relative": "../../outside/secret.csv", "link-to-good": "../../outside/good.csv",
             "link-beside": "aa-good.csv", "link-dangling": "nothing.csv", "link-to-itself": "link-to-itself.csv",
             "link-chain": "link-absolute.csv", "link-to-zero": "/dev/zero", "link-to-dir": "../../outside/dir.csv",
             "link-to-proc": "/proc/self/environ", "link-to-fd": "/dev/stdin", "link-to-state": "../state/ledger.csv"}
    table = []
    for name, target in links.items():
        os.symlink(target, os.path.join(drop, name + ".csv"))
        table.append((name, "-:file-type", "file-type"))
    os.mkfifo(os.path.join(drop, "fifo.csv"), 0o666)
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(drop)  # the path of a socket is short
    server.bind("socket.csv")
    os.chdir(here)
    server.close()
    os.mkdir(os.path.join(drop, "directory.csv"))
    table += [("fifo", "-:file-type", "file-type"), ("socket", "-:file-type", "file-type"),
              ("directory", "-:file-type", "")]
    for name, kind, number in (("device-zero", stat.S_IFCHR, os.makedev(1, 5)), ("device-block", stat.S_IFBLK, os.makedev(7, 99))):
        try:
            os.mknod(os.path.join(drop, name + ".csv"), kind | 0o666, number)
            table.append((name, "-:file-type", "file-type"))
        except PermissionError:
            pass
    site.put(b"mode-000.csv", good(1000))
    os.chmod(os.path.join(drop, "mode-000.csv"), 0)
    del site.sent[b"mode-000.csv"]
    table.append(("mode-000", "-:file-unreadable", "file-unreadable"))
    # Where the kernel lets strangers link what only we may read.
    closed = os.path.join(site.outside, "closed.csv")
    Site.write(closed, SECRET)
    os.chmod(closed, 0o600)
    if Options.user:
        os.chown(closed, Options.user.pw_uid, Options.user.pw_gid)
    os.link(closed, os.path.join(drop, "hard-link-to-closed.csv"))
    table.append(("hard-link-to-closed", "1:extra-label " + "1:missing-label " * 9, "file-type"))
    if Options.user:
        os.link(secret, os.path.join(drop, "hard-link-to-secret.csv"))
        table.append(("hard-link-to-secret", "-:file-unreadable", "file-unreadable"))
    if os.geteuid() == 0 and not Options.user:
        table = [line for line in table if line[0] != "mode-000"]
        os.unlink(os.path.join(drop, "mode-000.csv"))
    return table


def file_of(name):
    """Its file's name."""
    return name.encode() + (b"" if name.endswith((".gz", ".zst")) else b".csv")


def zstd(content, *options):
    return subprocess.run(["zstd", "-cq", *options], input=content, capture_output=True, check=True).stdout


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 16]) + content[at + 1:]


def packed_contents():
    """Contents of files named .csv.gz and .csv.zst, as in contents()."""
    r, gz = H + b"\n" + R + b"\n", gzip.compress
    long = H + b"\n" + b"".join(row(b"7.%d" % i) for i in range(5000))
    skipped = b"\x5f\x2a\x4d\x18" + (1000).to_bytes(4, "little") + bytes(1000)
    table = []
    for end, pack in (("gz", gz), ("zst", zstd)):
        whole = pack(long)
        table += [
            ("packed-bad-row.csv." + end, pack(r + row(b"x")), "3:type-error", "x"),
            ("packed-nul.csv." + end, pack(r + b"\0" * 4096), "3:encoding-error"),
            ("packed-twice.csv." + end, pack(pack(r)), "-:format-error"),
            ("packed-zip.csv." + end, pack(packed("zip")), "-:format-error"),
            ("packed-utf-16.csv." + end, pack(("\ufeff" + r.decode()).encode("utf-16-le")), "-:encoding-error"),
            ("packed-plain.csv." + end, r, "-:format-error"), ("packed-xz.csv." + end, packed("xz"), "-:format-error"),
            ("packed-nuls.csv." + end, bytes(512), "-:format-error"),
            ("packed-cut.csv." + end, whole[:len(whole) // 2], "-:truncated-file"),
            ("packed-cut-at-end.csv." + end, whole[:-1], "-:truncated-file"),
            ("packed-cut-in-magic.csv." + end, whole[:1], "-:truncated-file"),
            ("packed-cut-in-second.csv." + end, pack(r) + whole[:40], "-:truncated-file"),
            ("packed-garbage-behind.csv." + end, whole + b"\n", "-:format-error"),
            ("packed-zeros-behind.csv." + end, whole + bytes(512), "-:format-error"),
            ("packed-flipped.csv." + end, flipped(whole, len(whole) // 2), "-:format-error"),
            ("packed-wrong-sum.csv." + end, flipped(whole, -3 % len(whole)), "-:format-error"),
            ("packed-nothing.csv." + end, pack(b""), ""), ("packed-header.csv." + end, pack(H + b"\n"), ""),
            ("packed-many-nothings.csv." + end, pack(b"") * 20000, ""),
        ]
    return table + [
        ("packed-as-zstd.csv.zst", gz(r), "-:format-error"), ("packed-as-gzip.csv.gz", zstd(r), "-:format-error"),
        ("packed-other-method.csv.gz", b"\x1f\x8b\x07" + gz(r)[3:], "-:format-error"),
        ("packed-skipped-only.csv.zst", skipped * 100, ""),
        ("packed-window.csv.zst", zstd(bytes(20 << 20), "--long=27"), "-:format-error"),
        ("packed-huge-window.csv.zst", b"\x28\xb5\x2f\xfd\x00\xf8" + bytes(64), "-:format-error"),
        ("packed-dictionary.csv.zst", b"\x28\xb5\x2f\xfd\x21\x07\x01\x09\x00\x00\x61", "-:format-error"),
        ("packed-zeros.csv.gz", gz(bytes(4 << 20)), "-:file-too-large"),
        ("packed-zeros.csv.zst", zstd(bytes(4 << 20)), "-:file-too-large"),
    ]


def packed(kind):
    """The good rows as files of other kinds."""
    text, out = good(500), io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("metrics.csv", text)
    elif kind == "xlsx":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            archive.writestr("xl/workbook.xml", "<workbook/>")
    elif kind == "empty-zip":
        zipfile.ZipFile(out, "w").close()
    elif kind == "sqlite":
        with tempfile.NamedTemporaryFile() as file:
            base = sqlite3.connect(file.name)
            base.execute("create table metrics (timestamp)")
            base.commit()
            base.close()
            return file.read()
    return out.getvalue() or {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}[kind](text)


def contents():
    """(name, content, what check and quarantine say, value of the first): "" for a valid file."""
    r, q = H + b"\n" + R + b"\n", b'"'
    label = H + b",label\n"
    wide = b",".join(b"c%d" % i for i in range(10 ** 6))
    table = [
        # Encodings
        ("utf-16-le-bom", ("\ufeff" + r.decode()).encode("utf-16-le"), "-:encoding-error"),
        ("utf-16-be-bom", ("\ufeff" + r.decode()).encode("utf-16-be"), "-:encoding-error"),
        ("utf-16-le", r.decode().encode("utf-16-le"), "1:encoding-error 2:encoding-error 3:encoding-error"),
        ("utf-16-be", r.decode().encode("utf-16-be"), "1:encoding-error 2:encoding-error"),
        ("utf-32-le-bom", ("\ufeff" + r.decode()).encode("utf-32-le"), "-:encoding-error"),
        ("utf-32-be-bom", ("\ufeff" + r.decode()).encode("utf-32-be"), "1:encoding-error 2:encoding-error"),
        ("utf-7", b"+AHQ-imestamp" + r[9:], "1:extra-label 1:missing-label", "'+AHQ-imestamp"),
        ("bom-twice", b"\xef\xbb\xbf\xef\xbb\xbf" + r, "1:extra-label 1:missing-label", "\ufefftimestamp"),
        ("bom-behind-header", H + b"\n\xef\xbb\xbf" + R + b"\n", "2:type-error", "\ufeff1"),
        ("latin-1", label + R + b",caf\xe9\n", "2:encoding-error"),
        ("latin-1-last-row", label + R + b",caf\xe9", "2:truncated-file"),
        ("overlong-slash", label + R + b",\xc0\xaf\n", "2:encoding-error"),
        ("overlong-nul", label + R + b",\xc0\x80\n", "2:encoding-error"),
        ("overlong-3", label + R + b",\xe0\x80\xaf\n", "2:encoding-error"),
        ("overlong-4", label + R + b",\xf0\x80\x80\xaf\n", "2:encoding-error"),
        ("surrogate-pair", label + R + b",\xed\xa0\xbd\xed\xb8\x80\n", "2:encoding-error"),
        ("beyond-unicode", label + R + b",\xf4\x90\x80\x80\n", "2:encoding-error"),
        ("five-bytes", label + R + b",\xf8\x88\x80\x80\x80\n", "2:encoding-error"),
        ("lone-continuation", label + R + b",\x80\n", "2:encoding-error"),
        ("nul-tail", r + b"\0" * 4096, "3:encoding-error"),
        ("nul-tail-in-row", r + b"1,2,3" + b"\0" * 4096, "3:encoding-error"),
        ("nul-middle", r + b"1,2\0,3,4,5,6,7,8,idle\n" + row(), "3:encoding-error"),
        ("nul-page-then-rows", r + b"\0" * 4096 + b"\n" + row(), "3:encoding-error"),
        ("nul-in-quotes", label + R + b',"a\0b"\n', "2:encoding-error"),
        ("nul-in-header", b"time\0stamp" + r[9:], "1:encoding-error"),
        ("nul-only", b"\0" * 512, "1:encoding-error"),
        ("lone-cr", H + b"\n" + R + b"\r" + R + b"\n", "2:encoding-error"),
        ("cr-cr-lf", H + b"\r\r\n" + R + b"\r\r\n", "1:encoding-error 2:encoding-error"),
        ("lone-cr-in-quotes", label + R + b',"a\rb"\n', "2:encoding-error"),
        ("control-z", r + b"\x1a\n", "3:missing-cell"),
        ("vertical-tab", label + R + b",a\x0bb\n", "2:constraint-error", "a\\x0Bb"),
        # Other kinds of file
        ("gzip", packed("gzip"), "-:format-error"), ("zip", packed("zip"), "-:format-error"),
        ("zip-empty", packed("empty-zip"), "-:format-error"), ("xlsx", packed("xlsx"), "-:format-error"),
        ("bzip2", packed("bzip2"), "-:format-error"), ("xz", packed("xz"), "-:format-error"),
        ("sqlite", packed("sqlite"), "-:format-error"),
        ("xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "-:format-error"),
        ("parquet", b"PAR1\x15\x04" + bytes(64) + b"PAR1", "-:format-error"),
        ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "-:format-error"),
        ("zstd", b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00", "-:format-error"),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\4", "-:format-error"),
        ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(32), "-:format-error"),
        ("arrow", b"ARROW1\0\0" + bytes(32), "-:format-error"),
        ("elf", b"\x7fELF\2\1\1" + bytes(57), "1:encoding-error"),
        ("html", b"<html><body>413 Request Entity Too Large</body></html>\n", "1:extra-label " + "1:missing-label " * 9),
        ("json", b'{"timestamp": 1, "cpu_percent": 2}\n', "1:stray-quote"),
        ("script", b"#!/bin/sh\nrm -rf \"$HOME\"\n", "1:extra-label " + "1:missing-label " * 9 + "2:stray-quote"),
        ("ledger", b"seq,batch,time,verdict,name,bytes,sha256,meta,rows,rejected,duplicate,offset,length,range_hash,check\n"
         b"1,1,2024-01-01T00:00:00.000Z,merged,x.csv,1,0,,1,0,0,0,1,0,0\n",
         "1:extra-label " * 15 + "1:missing-label " * 9),
        # Shapes
        ("header-only", H + b"\n", ""), ("header-cut", H[:40], "1:extra-label " + "1:missing-label " * 6), ("header-bad", b"a,b\n", "1:extra-label 1:extra-label " + "1:missing-label " * 9),
        ("empty", b"", ""), ("line-ends-only", b"\n" * 1000, ""), ("bom-only", b"\xef\xbb\xbf", ""),
        ("no-header", R + b"\n" + R.replace(b"1", b"9") + b"\n", NO_HEADER),
        ("labels-twice", H + b"," + H + b"\n" + R + b"," + R + b"\n", "1:duplicate-label " * 9),
        ("labels-blank", H + b",,\n" + R + b",,\n", "1:blank-label 1:blank-label"),
        ("labels-of-blanks", H + b", \n" + R + b",\n", "1:extra-label", " "),
        ("label-upper-case", b"TIMESTAMP" + r[9:], "1:extra-label 1:missing-label", "TIMESTAMP"),
        ("label-null", H + b",\x1b[2J\n" + R + b",1\n", "1:extra-label", "\\x1B[2J"),
        ("ragged", r + b"1\n1,2\n1,2,3,4,5,6,7,8,idle,9\n,\n", "3:missing-cell 4:missing-cell 5:extra-cell 6:missing-cell"),
        ("commas", H + b"\n" + b"," * 100 + b"\n", "2:extra-cell"),
        ("blank-rows", r + b"\n\r\n" + R + b"\n", "3:blank-row 4:blank-row"),
        ("semicolons", r.replace(b",", b";"), "1:extra-label " + "1:missing-label " * 9),
        ("million-columns-header", wide + b"\n" + b",".join([b"1"] * 10 ** 6) + b"\n", "1:row-too-long"),
        ("many-columns-header", b",".join(b"c%d" % i for i in range(100000)) + b"\n1\n", "1:too-many-columns"),
        ("million-columns-row", r + b"," * 10 ** 6 + b"\n", "3:too-many-columns"),
        ("million-quoted-cells", r + b'"",' * 300000 + b"\n", "3:too-many-columns"),
        ("long-row", r + b"x" * (1 << 20) + b"\n" + row(), "3:row-too-long"),
        ("long-quoted-row", r + q + b"x\n" * (1 << 20) + q + b"\n" + row(), "3:row-too-long"),
        ("many-violations", H + b"\n" + row(b"x") * 100000, " ".join("%d:type-error" % line for line in range(2, 1002))),
        # Quotes
        ("quote-in-cell", r + b'1,2"2,3,4,5,6,7,8,idle\n', "3:stray-quote"),
        ("quote-behind-quoted", r + b'1,"2"2,3,4,5,6,7,8,idle\n', "3:stray-quote"),
        ("quote-behind-blank", r + b'1, "2",3,4,5,6,7,8,idle\n', "3:stray-quote"),
        ("quote-alone", r + b'"\n', "3:unterminated-quote"),
        ("quote-at-the-end", r + b'1,2,3,4,5,6,7,8,idle"\n', "3:stray-quote"),
        ("quote-with-backslash", label + R + b',"a\\"b"\n', "2:stray-quote"),
        ("quotes-three", label + R + b',"""\n', "2:unterminated-quote"),
        ("quote-never-closed", r + b'1,2,3,4,5,6,7,8,"idle\n' + row() * 1000, "3:unterminated-quote"),
        ("quote-in-header", b'"timestamp' + r[9:], "1:unterminated-quote"),
        ("quoted-line-ends", r + b'"\r\n\r\n1",2,3,4,5,6,7,8,idle\n', "3:type-error", "\\x0D\\x0A\\x0D\\x0A1"),
        # Values
        ("digits", H + b"\n" + row(b"1" * 10 ** 6), ""), ("digits-of-fraction", H + b"\n" + row(b"2." + b"3" * 10 ** 6), ""),
        ("digits-above", H + b"\n" + row(cpu=b"1" * 10 ** 6), "2:constraint-error", "1" * 256),
        ("digits-of-zero", H + b"\n" + row(b"3", cpu=b"0" * 10 ** 6 + b"100"), ""),
        ("exponent-digits", H + b"\n" + row(b"4", cpu=b"1e-" + b"9" * 10 ** 6), ""),
        ("exponent-digits-above", H + b"\n" + row(cpu=b"1e" + b"9" * 10 ** 6), "2:constraint-error", "1e" + "9" * 254),
        ("exponent-of-zero", H + b"\n" + row(b"5", cpu=b"0e999999999"), ""),
        ("exponent", H + b"\n" + row(cpu=b"1e999999999"), "2:constraint-error", "1e999999999"),
        ("exponent-64-bit", H + b"\n" + row(cpu=b"1e18446744073709551616"), "2:constraint-error"),
        ("below-zero-hardly", H + b"\n" + row(b"-1e-999999999"), "2:constraint-error", "-1e-999999999"),
        ("hexadecimal", H + b"\n" + row(b"0x10"), "2:type-error", "0x10"), ("nan", H + b"\n" + row(b"nan"), "2:type-error", "nan"),
        ("arabic-digits", H + b"\n" + row("\u0661".encode()), "2:type-error", "\u0661"),
        ("format-string", H + b"\n" + row(b"%n%s%n%s"), "2:type-error", "%n%s%n%s"),
        ("shell", H + b"\n" + row(b"$(reboot)"), "2:type-error", "$(reboot)"),
        ("escape-sequence", H + b"\n" + row(b"\x1b]0;owned\x07\x1b[2J"), "2:type-error", "\\x1B]0;owned\\x07\\x1B[2J"),
        ("c1-control", H + b"\n" + row("\x9b2J".encode()), "2:type-error", "\\xC2\\x9B2J"),
        ("right-to-left", H + b"\n" + row("\u202e001".encode()), "2:type-error", "\\xE2\\x80\\xAE001"),
        ("backslash", H + b"\n" + row(b"\\x1B"), "2:type-error", "\\\\x1B"),
        ("formula-in-quotes", H + b'\n"=HYPERLINK(""http://x"",""y"")",2,3,4,5,6,7,8,idle\n', "2:type-error",
         '\'=HYPERLINK("http://x","y")'),
        ("value-long", H + b"\n" + row(phase=b"\xc3\xa9" * 5000), "2:constraint-error", "\xe9" * 128),
        ("label-path", label + R + b",../../etc/passwd\n", "2:constraint-error", "../../etc/passwd"),
    ]
    table += packed_contents()
    for i, value in enumerate((b"=cmd|' /C calc'!A1", b"+1+cmd|' /C calc'!A1", b"@SUM(1)", b"-2+3+cmd|'x'!A1")):
        table.append(("formula-%d" % i, H + b"\n" + row(value), "2:type-error", "'" + value.decode()))
    return [line if len(line) == 4 else (*line, None) for line in table]


# What the names of hostile files are; the first ones count, the last ones do not.
NAMES = [
    b"new\nline.csv", b"carriage\rreturn.csv", b"tab\there.csv", b"\x1b[2J\x1b]0;owned\x07.csv", b"bell\x07.csv",
    b"single'quote.csv", b'double"quote.csv', b'"quoted".csv', b"comma,comma.csv", b"per%cent%0A%s%n.csv", b"back\\slash\\n.csv",
    b"dollar$(reboot)`id`.csv", b"semi;colon&&.csv", b"glob*?[a].csv", b"-rf.csv", b"--help.csv", b" leading.csv", b"trailing .csv",
    b"two  blanks.csv", b"~tilde.csv", b"#hash.csv", b"=cmd|' C calc'!A1.csv", b"latin-\xe9.csv", b"\xff\xfe.csv",
    b"overlong-\xc0\xaf.csv", b"surrogate-\xed\xa0\x80.csv", b"delete\x7f.csv", b"c1-\xc2\x9b2J.csv",
    "rtl-\u202evsc.exe.csv".encode(), "isolate-\u2066x.csv".encode(), "line-\u2028separator.csv".encode(), "\u00fcml\u00e4ut.csv".encode(),
    "\U0001f4a9.csv".encode(), "fullwidth\uff0fslash.csv".encode(), b"nfd-e\xcc\x81.csv", b"UPPER.CSV", b"Mixed.cSv", b"a..csv", b"a.csv.csv",
    b"x" * 251 + b".csv", b"\n" * 251 + b".csv", "\u00e9".encode() * 125 + b"x.csv", b"y" * 224 + b".csv", b"z" * 220 + b".csv",
    b"victim.csv.errors.csv", b"victim.csv.rejects.csv", b"training_data.csv", b"ledger.csv", b"con.csv", b"1.csv", b"5.errors.csv",
    b"recovered.1.csv", b"victim.~2~.csv", b"victim.csv",
    b"x.csv\n3,3,2024-01-01T00:00:00.000Z,merged,forged.csv,9,00,,9,0,0,0,9,0,0\n.csv",
    b'x\n"}],"daemon":true,"x":[{"name":"y.csv',
    b"user_1_web_20240101_000000.csv",
]
IGNORED = [b".csv", b".hidden.csv", b"..csv", b"...csv", b"victim.csv.~2~", b"x.csv ", b"x.csv\n", b"x.csv.", b"x.csvx", b"csv",
           b".phasesentinel.1.csv", b"x.cs\xc5\xbf", b"-", b"*"]

# Contents without a row: they wait for their rows for ever, whatever check says of what there is.
ROWLESS = {"header-only": "header-only", "header-cut": "header-only", "header-bad": "header-only", "empty": "empty",
           "line-ends-only": "header-only", "bom-only": "header-only", "html": "header-only", "json": "header-only",
           "quote-in-header": "header-only",
           **{"packed-%s.csv.%s" % (what, end): "header-only" for what in ("nothing", "header", "many-nothings")
              for end in ("gz", "zst")}, "packed-skipped-only.csv.zst": "header-only"}


# --- things and contents -------------------------------------------------------------------------------------------

class Mixture:
    """Things and contents of the tables in one drop directory, among good files."""

    def __init__(self, site):
        self.site, self.guard = site, None
        for number, name in enumerate((b"aa-good.csv", b"mm-good.csv", b"zz-good.csv")):
            site.put(name, good(100 + number))
        self.things = make_things(site)
        self.contents = contents()
        for name, content, _, _ in self.contents:
            site.put(file_of(name), content)
        Site.write(os.path.join(site.outside, "bad.csv"), H + b"\n" + row(b"x", b"hard-linked"))
        Site.write(os.path.join(site.outside, "linked.csv"), good(300))
        for name in ("bad", "linked"):
            if Options.user:
                os.chown(os.path.join(site.outside, name + ".csv"), Options.user.pw_uid, Options.user.pw_gid)
            os.link(os.path.join(site.outside, name + ".csv"), os.path.join(site.drop, "hard-link-%s.csv" % name))
        self.before = site.snapshot()
        self.guard = Guard(site.outside)
        self.through = threading.Event()
        threading.Thread(target=self.wait_at_fifo, daemon=True).start()

    def wait_at_fifo(self):
        """A writer gets through as soon as anybody opens the FIFO for reading."""
        os.close(os.open(os.path.join(self.site.drop, "fifo.csv"), os.O_WRONLY))
        self.through.set()

    def check_all(self, report):
        """What `check` says of each, one by one."""
        wrong, rss = [], 0
        table = [(name, said) for name, said, _ in self.things]
        table += [(name, said) for name, _, said, _ in self.contents]
        for name, said in table:
            path = os.path.join(self.site.drop, os.fsdecode(file_of(name)))
            outcome = self.site.run("check", path)
            got, want = self.site.found(os.fsencode(path), outcome.out), " ".join(said.split())
            bad = got != want or outcome.code != int(bool(want) or name in ROWLESS)
            bad = bad or control_bytes(outcome.out) or control_bytes(outcome.err)
            report.case(name, "check %s: %s" % (name, want[:60] or "valid"), bad and
                   ["exit %d, got %s" % (outcome.code, got), outcome.out.decode("utf-8", "replace")[:600],
                    outcome.err.decode("utf-8", "replace")[:600]])
            rss = max(rss, outcome.rss)
        after = self.site.snapshot()
        wrong = [repr(path) for path in self.before.keys() | after.keys() if self.before.get(path) != after.get(path)]
        report("check has changed nothing", wrong)
        report_rss(report, "check of each", rss)

    def judged(self):
        ledger, waiting = self.site.ledger(), self.site.waiting()
        rowless = {file_of(name): reason for name, reason in ROWLESS.items()}
        return (all(ledger.get(name) in ("merged", "quarantined") for name in self.site.sent
                    if name not in rowless) and
                all(waiting.get(name.encode() + b".csv") == reason for name, _, reason in self.things if reason) and
                all(waiting.get(name) == reason for name, reason in rowless.items()))

    def fate(self, name, content, said, value):
        """What is wrong with what became of this content."""
        site, file = self.site, file_of(name)
        dropped = os.path.join(os.fsencode(site.drop), file)
        verdict = site.ledger().get(file)
        if name in ROWLESS:
            return [] if (verdict, site.waiting().get(file), os.path.exists(dropped)) == (None, ROWLESS[name], True) else \
                ["verdict %s, waits for %s" % (verdict, site.waiting().get(file))]
        if not said:
            return [] if verdict == "merged" and os.path.exists(dropped) else ["verdict %s" % verdict]
        if verdict != "quarantined" or os.path.exists(dropped):
            return ["verdict %s" % verdict]
        reasons = site.reasons(file)
        wrong = []
        if name == "many-violations":
            wrong += [] if reasons.pop() == ("-", "type-error", "") else ["the last line does not count the others"]
        listed = " ".join("%s:%s" % reason[:2] for reason in reasons)
        if listed != " ".join(said.split()):
            wrong.append("its list has " + listed[:300])
        if value is not None and reasons[0][2] != value:
            wrong.append("the value shown is %r" % reasons[0][2])
        if site.read("quarantine", os.fsdecode(file)) != content:
            wrong.append("in quarantine it is not what was sent")
        wrong += control_bytes(site.read("quarantine", os.fsdecode(file) + ".errors.csv"))
        return wrong

    def verify(self, report, way):
        site, after = self.site, self.site.snapshot()
        for name, content, said, value in self.contents:
            report.case(name, "%s %s" % (way, name), self.fate(name, content, said, value))
        for name, _, reason in self.things:
            path = os.path.join(os.fsencode(site.drop), name.encode() + b".csv")
            waits = site.waiting().get(name.encode() + b".csv", "")
            report.case(name, "%s %s: %s" % (way, name, reason or "not looked at"), (["waits for '%s'" % waits] if waits != reason else []) +
                   (["it was touched"] if self.before[path] != after.get(path) else []))
        ledger = site.ledger()
        report("%s: the good files among them are merged" % way, ["%s: %s" % (name, ledger.get(name)) for name in
               (b"aa-good.csv", b"mm-good.csv", b"zz-good.csv") if ledger.get(name) != "merged"])
        report("%s: a hard link is judged as a file" % way,
               [] if (ledger.get(b"hard-link-linked.csv"), ledger.get(b"hard-link-bad.csv")) == ("merged", "quarantined") and
               os.stat(os.path.join(site.outside, "bad.csv")).st_nlink == 2 else [repr(ledger)])
        report("%s: nobody got through the FIFO" % way, ["somebody did"] if self.through.is_set() else [])
        report("%s: nothing outside was opened" % way, [name for name in self.guard.seen()])
        wrong = []
        for where, _, files in os.walk(site.data):
            for name in files:
                path = os.path.join(where, name)
                if not name.startswith("hard-link-to-") and stat.S_ISREG(os.lstat(path).st_mode) and os.access(path, os.R_OK):
                    with open(path, "rb") as file:
                        wrong += [path] if b"SECRET" in file.read() else []
        report("%s: the secret is nowhere" % way, wrong)
        report("%s: the checker finds nothing" % way, site.checker())


def report_rss(report, what, rss, limit=RSS_LIMIT):
    if not Options.sanitized:
        report("%s: %d MiB of memory, less than %d" % (what, rss, limit), [] if rss < limit else ["%.1f MiB" % rss])


def part_things(report, top):
    mixture = Mixture(Site(top, "merge"))
    mixture.check_all(report)
    outcome = mixture.site.run("merge")
    report("merge exits 1", ["exit %d" % outcome.code, outcome.err.decode("utf-8", "replace")] if outcome.code != 1 else [])
    report("merge prints no control byte", control_bytes(outcome.out) + control_bytes(outcome.err))
    report_rss(report, "merge", outcome.rss)
    mixture.verify(report, "merge")

    mixture = Mixture(Site(top, "daemon"))
    mixture.site.start_daemon()
    try:
        report("the daemon judges all of them", [] if wait_for(mixture.judged) else
               [repr(mixture.site.ledger()), repr(mixture.site.waiting())])
        code, rss = mixture.site.stop_daemon()
    finally:
        mixture.site.close()
    with open(mixture.site.log, "rb") as log:
        text = log.read()
    report("the daemon ends with 0", ["exit %d" % code, text[-600:].decode("utf-8", "replace")] if code else [])
    report("the log has no control byte", control_bytes(text))
    report_rss(report, "the daemon", rss)
    mixture.verify(report, "daemon")


# --- huge ----------------------------------------------------------------------------------------------------------

HUGE = [  # name, how it begins, what it goes on with (NUL bytes cost no disk), what check says
    ("nuls", b"", None, "1:encoding-error"), ("nuls-behind-rows", good(1), None, "5:encoding-error"),
    ("line", good(2), b"x", "5:row-too-long"), ("commas", good(2), b",", "5:row-too-long"),
    ("quote", good(3) + b'1,2,3,4,5,6,7,8,"', b"1,2,3,4,5,6,7,8,idle\n", "5:row-too-long"),
    ("quote-in-header", b'"', b"1,2,3,4,5,6,7,8,idle\n", "1:row-too-long"),
]


def part_huge(report, top):
    """They must not cost memory; the very file is moved to quarantine."""
    site = Site(top, "huge")
    for name, start, filler, _ in HUGE:
        path = site.put(name.encode() + b".csv", start)
        if filler:
            with open(path, "ab") as file:
                block = filler * ((1 << 20) // len(filler))
                while file.tell() < MIB[0] << 20:
                    file.write(block)
        else:
            os.truncate(path, MIB[0] << 20)
    site.put(b"good.csv", good(4))
    before = site.snapshot()
    for name, _, _, said in HUGE:
        path = os.path.join(site.drop, name + ".csv")
        outcome = site.run("check", path)
        got = site.found(os.fsencode(path), outcome.out)
        report.case("huge " + name, "check of huge %s: %s" % (name, said), [got] if got != said or outcome.code != 1 else [])
        report_rss(report, "check of huge " + name, outcome.rss)
    outcome = site.run("merge")
    report_rss(report, "merge of them", outcome.rss)
    for name, _, _, said in HUGE:
        old, new = (os.path.join(os.fsencode(where), name.encode() + b".csv") for where in (site.drop, site.quarantine))
        got = " ".join("%s:%s" % line[:2] for line in site.reasons(name.encode() + b".csv")) if os.path.exists(new) else ""
        report.case("huge " + name, "merge of huge %s: the very file is in quarantine" % name,
               [] if got == said and before[old][1:4] == site.snapshot()[new][1:4] else [got, repr(outcome.err)])
    report("the good one among them is merged", [] if site.ledger()[b"good.csv"] == "merged" else [repr(site.ledger())])


# --- bombs ---------------------------------------------------------------------------------------------------------

def pack_much(path, start, block, mib):
    """A packed file of so many MiB of the block behind the start, written as it is packed."""
    with open(path, "wb") as out:
        if path.endswith(".gz"):
            packer = subprocess.Popen(["gzip", "-6c"], stdin=subprocess.PIPE, stdout=out)
        else:
            packer = subprocess.Popen(["zstd", "-1cq"], stdin=subprocess.PIPE, stdout=out)
        packer.stdin.write(start)
        for _ in range(mib):
            packer.stdin.write(block * ((1 << 20) // len(block)))
        packer.stdin.close()
        packer.wait()


BOMBS = [(name % end, start, block) for end in ("gz", "zst")
         for name, start, block in (("zeros.csv.%s", b"", b"\0"), ("rows.csv.%s", H + b"\n", R + b"\n"))]


def part_bombs(report, top):
    """Files out of which far more comes than they have: that costs no memory, nor much time."""
    site = Site(top, "bombs")
    for name, start, block in BOMBS:
        pack_much(os.path.join(site.drop, name), start, block, MIB[0])
    if Options.user:
        for name, _, _ in BOMBS:
            os.chown(os.path.join(site.drop, name), Options.user.pw_uid, Options.user.pw_gid)
    for name, _, _ in BOMBS:
        path = os.path.join(site.drop, name)
        outcome = site.run("check", path)
        got = site.found(os.fsencode(path), outcome.out)
        report("check of the bomb %s" % name, [got] if got != "-:file-too-large" or outcome.code != 1 else [])
        report_rss(report, "check of the bomb " + name, outcome.rss)
    outcome = site.run("merge")
    report_rss(report, "merge of them", outcome.rss)
    wrong = ["%s: %s" % (name, site.ledger().get(name.encode())) for name, _, _ in BOMBS
             if site.ledger().get(name.encode()) != "quarantined"]
    report("they are in quarantine", wrong)
    report("bombs: the checker finds nothing", site.checker())
    # Allowed, it is a file like others.
    site = Site(top, "dense", limits__max_expand_ratio=100000)
    for end in ("gz", "zst"):
        path = os.path.join(site.drop, "dense.csv." + end)
        pack_much(path, good(len(end)), R + b"\n", MIB[0] // 4)
        if Options.user:
            os.chown(path, Options.user.pw_uid, Options.user.pw_gid)
    outcome = site.run("merge")
    report("dense files are merged where that is allowed", [] if outcome.code == 0 and list(site.ledger().values()).count("merged") == 2
           else [repr(site.ledger()), repr(outcome.err)])
    report_rss(report, "merge of dense files", outcome.rss)


# --- names ---------------------------------------------------------------------------------------------------------

def json_name(name):
    """A name as JSON has it: U+FFFD for each byte that is no UTF-8."""
    return re.sub("[\udc80-\udcff]", "\ufffd", name.decode("utf-8", "surrogateescape"))


def where_is(directory, content):
    """The files there with exactly these bytes."""
    found = []
    for name in os.listdir(os.fsencode(directory)):
        with open(os.path.join(os.fsencode(directory), name), "rb") as file:
            if file.read() == content:
                found.append(name)
    return found


def show_everywhere(report, site, what, names):
    """status, as text and as JSON, has each name, and no control byte."""
    outcome = site.run("status")
    wrong = [printable(name) for name in names if b"  " + printable(name).encode() + b": " not in outcome.out]
    report("status shows each name, %s" % what, wrong + control_bytes(outcome.out) + control_bytes(outcome.err))
    outcome = site.run("status", "--json")
    there = sorted(file["name"] for file in json.loads(outcome.out)["waiting"])
    report("status --json has each name, %s" % what, control_bytes(outcome.out) +
           (["%r" % sorted(set(there) ^ set(map(json_name, names)))] if there != sorted(map(json_name, names)) else []))


def said_of(output, word, names):
    """The names of which no line of the output begins with WORD NAME: ."""
    lines = output.decode("utf-8", "replace").splitlines()
    return [printable(name) for name in names
            if not any(line.startswith("%s %s: " % (word, printable(name))) for line in lines)]


def part_names(report, top):
    # Good files, archived.
    site = Site(top, "names", merge__source="archive")
    for number, name in enumerate(NAMES):
        site.put(name, good(number))
    for number, name in enumerate(IGNORED):
        site.put(name, b"ignored %d\n" % number)
    show_everywhere(report, site, "not looked at", NAMES)
    ignored = json.loads(site.run("status", "--json").out)["ignored"]
    report("%d names are not looked at" % len(IGNORED), [str(ignored)] if ignored != len(IGNORED) else [])
    wrong = []
    for name in NAMES:
        path = os.path.join(os.fsencode(site.drop), name)
        outcome = site.run("check", path)
        if outcome.code != 0 or control_bytes(outcome.out) or control_bytes(outcome.err):
            wrong.append("%r: exit %d, %r" % (name, outcome.code, outcome.out))
    report("check takes each name", wrong)
    outcome = site.run("merge")
    report("merge exits 0", ["exit %d" % outcome.code, repr(outcome.out), repr(outcome.err)] if outcome.code else [])
    report("merge names each as merged", said_of(outcome.out, "merged", NAMES) + control_bytes(outcome.out))
    ledger = site.ledger()
    report("the ledger has each name", [repr(name) for name in NAMES if ledger.get(name) != "merged"])
    report("no line of the ledger is forged", [repr(name) for name in ledger.keys() - set(NAMES) - {b"training_data.csv"}])
    report("each is archived whole", [repr(name) for name in NAMES
                                      if len(where_is(os.path.join(site.data, "archive"), site.sent[name])) != 1])
    report("what is not looked at is untouched", [repr(name) for name in IGNORED
                                                  if where_is(site.drop, site.sent[name]) != [name]])
    report("the checker finds nothing", site.checker("--source", "archive"))

    # Bad ones, and then corrected ones.
    site = Site(top, "bad-names")
    bad = {name: b"%s\n%s%s" % (H, row(), row(b"bad%d" % number)) for number, name in enumerate(NAMES)}
    for name, content in bad.items():
        site.put(name, content)
    outcome = site.run("merge")
    report("merge exits 1", ["exit %d" % outcome.code, repr(outcome.err)] if outcome.code != 1 else [])
    report("merge names each as quarantined", said_of(outcome.out, "quarantined", NAMES) + control_bytes(outcome.out))
    wrong = []
    for number, name in enumerate(NAMES):
        slots = where_is(site.quarantine, bad[name])
        if len(slots) != 1 or site.reasons(slots[0]) != [("3", "type-error", "bad%d" % number)]:
            wrong.append("%r: %r" % (name, slots))
    report("each is in quarantine whole, with its own reasons", wrong)
    report("all of them are to be looked at", quarantine_counts(site, len(NAMES)))
    for number, name in enumerate(NAMES):
        site.put(name, good(number))
    outcome = site.run("merge")
    report("corrected ones merge", said_of(outcome.out, "merged", NAMES))
    report("and all in quarantine are resolved", quarantine_counts(site, 0))
    report("the checker finds nothing", site.checker())

    # The daemon; as many at a time as its log names one by one.
    site = Site(top, "daemon-names")
    codes = []
    for first in range(0, len(NAMES), 14):
        names = NAMES[first:first + 14]
        site.start_daemon()
        try:
            for number, name in enumerate(names):
                site.put(name, bad[name] if number % 2 else good(first + number))
            wait_for(lambda: set(names) <= site.ledger().keys())
            codes.append(site.stop_daemon()[0])
        finally:
            site.close()
    with open(site.log, "rb") as log:
        text = log.read()
    report("each daemon ends with 0", [repr(codes)] if any(codes) else [])
    lines = re.sub(rb"(?m)^\S+ \S+ +", b"", text)
    report("the log names each", [line for first in range(0, len(NAMES), 14) for line in
                                  said_of(lines, "merged", NAMES[first:first + 14:2]) +
                                  said_of(lines, "quarantined", NAMES[first + 1:first + 14:2])])
    report("the log has no control byte", control_bytes(text))
    report("the checker finds nothing", site.checker())


def quarantine_counts(site, want):
    site.run("merge")
    status = json.loads(site.run("status", "--json").out)["quarantined"]
    stats = json.loads(site.read("stats", "stats.json"))["quarantined"]
    return [] if (status, stats) == (want, want) else ["status counts %d, stats.json %d, not %d" % (status, stats, want)]


# --- values --------------------------------------------------------------------------------------------------------

VALUES = ["new\nline", "crlf\r\nhere", "tab\there", "\x1b[2J\x1b]0;owned\x07", 'double"quote', '"quoted"', "single'quote",
          "comma,comma", "back\\slash\\n", "\\", '\\"', "=cmd|' /C calc'!A1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "%s%n%0A",
          "{x=\"y\"} 1", "x\" 1\nforged{a=\"b\"} 9\n#", "\x7f", "\x9b2J", "\u202e001", "\u2028", "\U0001f4a9", "\ufeff",
          " ", "  x  ", "e\u0301", "\ufffd", "</script><script>alert(1)</script>", "$(reboot)", "x" * 5000, "\u00e9" * 3000,
          "null", "true", "-", "#", "user_id", ""]
FREE = b"""[schema]
name = free
[field.1]
name = user_id
[field.2]
name = label
[field.3]
name = number
type = integer
"""


def labels_of(text, metric, label):
    """{value: count} of a metric in Prometheus's text format; every line must be one."""
    found, backslash = {}, {"\\\\": "\\", "\\\"": '"', "\\n": "\n"}
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            continue
        match = re.fullmatch(r'([a-z_:]+)(?:\{([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"\})? ([0-9.e+-]+)', line)
        if not match:
            raise ValueError("no metric: %r" % line)
        if match[1] == metric and match[2] == label:
            found[re.sub(r'\\["\\n]', lambda m: backslash[m[0]], match[3])] = float(match[4])
    return found


def part_values(report, top):
    site, table = Site(top, "values", FREE), io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["user_id", "label", "number"])
    for number, value in enumerate(VALUES):
        writer.writerows([[value, VALUES[-number], number]] * (number + 1))
    content = table.getvalue().encode()
    site.put(b"values.csv", content)
    outcome = site.run("merge")
    report("all values are accepted", ["exit %d" % outcome.code, repr(outcome.out)] if outcome.code else [])
    want = list(csv.reader(io.StringIO(content.decode(), newline="")))
    got = list(csv.reader(io.StringIO(site.read("training_data.csv").decode(), newline=""), strict=True))
    report("and reach the training file as they are", [] if got == want else ["%r" % [row for row in got if row not in want][:5]])
    counts = {value: number + 1 for number, value in enumerate(VALUES)}
    for again in ("", " after another run"):
        stats = json.loads(site.read("stats", "stats.json"))
        report("stats.json has each" + again, ["%r" % stats["users"]] if stats["users"] != counts else [])
        users = list(csv.reader(io.StringIO(site.read("stats", "users.csv").decode(), newline=""), strict=True))[1:]
        got = {user[0]: int(user[2]) for user in users}
        report("users.csv has each" + again, ["%r" % sorted(got.items() ^ counts.items())] if got != counts else [])
        got = labels_of(site.read("stats", "phasesentinel.prom").decode(), "phasesentinel_user_training_rows", "user_id")
        report("Prometheus's labels have each" + again, ["%r" % sorted(got.items() ^ counts.items())] if got != counts else [])
        report("summary.txt has no control byte" + again, control_bytes(site.read("stats", "summary.txt")))
        for arguments in (("stats",), ("stats", "--json"), ("status",), ("status", "--json")):
            report("nor has %s%s" % (" ".join(arguments), again), control_bytes(site.run(*arguments).out))
        site.put(b"more.csv", b"user_id,label,number\nuser,x,99\n")
        counts["user"] = 1
        site.run("merge")
    report("the checker finds nothing", site.checker())


# --- patterns ------------------------------------------------------------------------------------------------------

# What explodes in backtracking matchers, and what does in those that remember sets of states.
PATTERNS = ["(a|a)*b", "(a*)*c", "(a+)+b", "(a|aa)+b", "a*a*a*a*a*a*a*a*b", "(a|b)*a(a|b){20}", "(a|b)*a(a|b){60}",
            ".*a.{1,100}b?", "((a{1,9}){1,9}){1,9}c"]


def part_patterns(report, top):
    noise = "".join(random.Random(1).choices("ab", k=1 << 20))
    values = {b"long.csv": [noise[:1000000], "a" * 1000000, "a" * 4097],
              b"many.csv": ["c"] + [noise[at:at + 1000] for at in range(0, 60000, 1000)]}
    for number, pattern in enumerate(PATTERNS):
        schema = "[schema]\nname = x\n[field.1]\nname = x\npattern = %s\n[field.2]\nname = y\n" % pattern
        site = Site(top, "pattern-%d" % number, schema.encode())
        for name, cells in values.items():
            site.put(name, b"x,y\n" + b"".join(b"%s,\n" % cell.encode() for cell in cells))
        outcome = site.run("merge")
        wrong = ["exit %d, %r" % (outcome.code, outcome.err)] if outcome.code != 1 else []
        if site.ledger().get(b"long.csv") != "quarantined" or [line[:2] for line in site.reasons(b"long.csv")] != \
                [("2", "constraint-error"), ("3", "constraint-error"), ("4", "constraint-error")]:
            wrong.append("values of more than 4096 bytes: %r" % site.ledger())
        if not {b"many.csv"} <= site.ledger().keys():
            wrong.append("many values: %r" % site.ledger())
        report.case("pattern " + pattern, "%s: judged" % pattern, wrong)
        report_rss(report, pattern, outcome.rss)


# --- limits --------------------------------------------------------------------------------------------------------

def part_limits(report, top):
    """Where the configuration allows as much as it can, cost must still grow with size only."""
    count = 10 ** 6
    labels = b",".join(b"c%d" % i for i in range(count)) + b"," + H + b"\n"
    cells = b"," * count + R + b"\n"
    contents = {b"columns.csv": (labels + cells, []), b"rows.csv": (labels + cells * 3, []),
                b"twice.csv": (labels.replace(b"c999999,", b"c0,") + cells, [("1", "duplicate-label", "c0")]),
                b"same.csv": (b"x," * count + H + b"\n" + cells, [("1", "duplicate-label", "x")] * 1000 + [("-", "duplicate-label", "")])}
    with open(os.path.join(TESTS, "..", "etc", "schema.ini"), "rb") as file:
        schema = file.read().replace(b"extra_fields = reject", b"extra_fields = drop")
    site = Site(top, "limits", schema, limits__max_columns=1 << 20, limits__max_row_kib=1 << 20)
    for name, (content, _) in contents.items():
        site.put(name, content)
    outcome = site.run("merge")
    for name, (_, want) in contents.items():
        verdict = site.ledger().get(name)
        got = site.reasons(name) if verdict == "quarantined" else []
        report.case("limit " + name.decode(), "a million columns, %s" % name.decode(), [] if got == want and verdict == ("quarantined" if want else "merged")
               else ["exit %d, verdict %s" % (outcome.code, verdict), repr(got[:3])])

    words = ["word%d" % i for i in range(120)]
    site = Site(top, "enum", b"[schema]\nname = x\n[field.1]\nname = x\nenum = %s\n[field.2]\nname = y\n" % "|".join(words).encode())
    site.put(b"enum.csv", b"x,y\n" + b"".join(b"%s,\n" % word.encode() for word in words) + b"word1x,\n")
    outcome = site.run("merge")
    message = site.read("quarantine", "enum.csv.errors.csv").decode()
    report("a long enum: the message names some of it", [] if "word11 and 108 others" in message and len(message) < 400 else [message])


# --- main ----------------------------------------------------------------------------------------------------------

PARTS = {"things": part_things, "huge": part_huge, "bombs": part_bombs, "names": part_names, "values": part_values, "patterns": part_patterns,
         "limits": part_limits}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(TESTS, "..", "build"))
    parser.add_argument("--mib", type=int, default=192)
    parser.add_argument("--keep", action="store_true", help="keep the directory")
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    options = parser.parse_args()
    report, top = Report(), tempfile.mkdtemp(prefix="hostile.")
    try:
        Options.prepare(options.build, top)
        MIB[0] = min(options.mib, 64) if Options.sanitized else options.mib
        for name in options.parts or PARTS:
            PARTS[name](report, top)
    finally:
        if options.keep:
            print("# kept: %s" % top)
        else:
            shutil.rmtree(top)
    report.tell_cases()
    print("1..%d" % report.count)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
