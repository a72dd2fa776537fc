#!/usr/bin/env python3
"""Is this data directory what the collector promises?

    tests/checker.py DATA_DIR [--schema etc/schema.ini] [--sent DIR [--unique]] [--source archive|delete] [--recursive]
    tests/checker.py --self-test

The directory must be at rest. This program shares no code with the collector: it reads the formats as they are
documented and works everything out again: the ledger line by line, the training file range by range, quarantine and
statistics. With --sent, a directory in which a test keeps every file it ever sent, the rows of each accepted file are
derived again and compared with what stands in its range, in order; --unique adds that no row may stand twice, for
tests whose files never share a row. --source says what becomes of accepted files where they do not stay, --recursive
that directories are looked into.

Exit 0 and one line of counts, or 1 and a line for each finding.
"""
import argparse
import collections
import configparser
import csv
import ctypes
import datetime
import functools
import gc
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib

LEDGER_HEADER = ("seq,batch,time,verdict,name,bytes,sha256,meta,rows,rejected,duplicate,"
                 "offset,length,range_hash,check")
VERDICTS = ("started", "adopted", "merged", "grown", "duplicate", "quarantined", "forgotten")
BEGINS = ("started", "adopted")     # begin a training file
MERGES = ("merged", "grown")        # put rows into it
ACCEPTS = MERGES + ("duplicate",)   # the content is known as accepted
SIDECARS = (".sha256", ".done")    # what a sender may put beside a file
CODES = set("""blank-label duplicate-label missing-label extra-label blank-row missing-cell extra-cell type-error
    constraint-error encoding-error stray-quote unterminated-quote truncated-file row-too-long too-many-columns
    file-too-large format-error changed-file checksum-mismatch file-type file-unreadable""".split())
ERRORS_HEADER = ["line", "column", "field", "code", "value", "message"]
USERS_HEADER = ["user_id", "files", "rows", "rejected_files", "last_arrival"]
STATS_FILES = {"stats.json", "users.csv", "summary.txt", "phasesentinel.prom"}
MOST_INSIDE = 1 << 28  # bytes of a gzip member
HASH_OF_NOTHING = "2d06800538d394c2"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
WORD = "[A-Za-z0-9._-]+"

csv.field_size_limit(sys.maxsize)
xxhash = ctypes.CDLL("libxxhash.so.0")
xxhash.XXH3_64bits.restype = ctypes.c_uint64
xxhash.XXH3_64bits.argtypes = (ctypes.c_char_p, ctypes.c_size_t)

Line = collections.namedtuple("Line", LEDGER_HEADER.replace(",", " "))
Field = collections.namedtuple("Field", "name required default enum pattern min max type")
Findings = list


def xxh3(data):
    return "%016x" % xxhash.XXH3_64bits(data, len(data))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def csv_name(name):
    """The name of the CSV inside a packed file; of another file its own."""
    return re.sub(r"(\.csv)\.(gz|zst)$", r"\1", name, flags=re.IGNORECASE)


def gunzip(data):
    """All members; ValueError or zlib.error if it is not these alone."""
    out = b""
    while True:
        member = zlib.decompressobj(31)
        out += member.decompress(data, MOST_INSIDE)
        if not member.eof:
            raise ValueError("cut, or too large")
        data = member.unused_data
        if not data:
            return out


def csv_inside(name, data):
    """What a file of this name is known by: the CSV inside; its own bytes, if it is not packed, or not well."""
    packing = name[len(csv_name(name)):].lower()
    try:
        if packing == ".gz":
            return gunzip(data)
        if packing == ".zst":
            return subprocess.run(["zstd", "-dcq", "--memory=8MB"], input=data, capture_output=True, check=True).stdout
    except (ValueError, zlib.error, subprocess.CalledProcessError):
        pass
    return data


def parse_csv(data, strict=True):
    """Rows of cells, byte for byte (as Latin-1), without blank lines."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    return [row for row in csv.reader(io.StringIO(text, newline=""), strict=strict) if row]


def readable(cell):
    """A cell as JSON shows it."""
    return cell.encode("latin-1").decode("utf-8", "replace")


def write_row(row):
    """A row as the collector must write it: quoted only where it must be."""
    return ",".join('"%s"' % cell.replace('"', '""') if re.search('[",\r\n]', cell) else cell
                    for cell in row).encode("latin-1") + b"\n"


def is_written_so(rows, data):
    """Is data what write_row makes of its rows? Without quotes in it no cell has anything to quote."""
    if b'"' in data or b"\r" in data:
        return b"".join(map(write_row, rows)) == data
    return "".join([",".join(row) + "\n" for row in rows]).encode("latin-1") == data


def count_cells(rows, place):
    """How often each cell stands in this place, as JSON shows it."""
    counts = collections.Counter()
    for cell, count in collections.Counter([row[place] for row in rows if len(row) > place]).items():
        counts[readable(cell)] += count
    return counts


def whole(text):
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def unescape(name):
    """The file name that the ledger's escaped one stands for; None if the escape is not the one documented."""
    if not re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})*", name):
        return None
    data = re.sub(rb"%(..)", lambda match: bytes([int(match[1], 16)]), name.encode())
    again = "".join(chr(byte) if re.match(r"[A-Za-z0-9._~/-]", chr(byte)) else "%%%02X" % byte for byte in data)
    return os.fsdecode(data) if again == name else None


def files_below(top):
    """Paths of all but directories below top, relative to it; a link to a directory is a link."""
    return sorted(os.path.relpath(os.path.join(where, name), top) for where, dirs, names in os.walk(top)
                  for name in names + [name for name in dirs if os.path.islink(os.path.join(where, name))])


def is_csv_name(path):
    name = os.path.basename(path)
    return (csv_name(name).lower().endswith(".csv") and "lost+found" not in path.split("/")[:-1] and
            not any(part.startswith(".") for part in path.split("/")))


def is_plain(path):
    return os.path.isfile(path) and not os.path.islink(path)


# --- the schema, as far as a file name fills columns ---------------------------------------------------------------

class Schema:
    def __init__(self, path=None):
        self.fields, self.template = {}, "{user_id}_{source}_{collection_timestamp:%Y%m%d_%H%M%S}.csv"
        if path is None:
            for name in ("timestamp cpu_percent memory_percent memory_used_gb disk_read_mb disk_write_mb "
                         "network_sent_mb network_recv_mb phase").split():
                self.add(name=name, required="true")
            self.add(name="user_id", default="anonymous", pattern=WORD, minlength="1", maxlength="64")
            self.add(name="source", default="external", enum="external|simulation|web")
            self.add(name="label", default="normal", pattern=WORD)
            self.add(name="collection_timestamp", type="datetime")
            return
        parser = configparser.ConfigParser(inline_comment_prefixes=("#", ";"), interpolation=None)
        parser.read_string(read(path).decode())
        self.template = unquote(parser["schema"].get("filename", ""))
        for section in parser.sections():
            if section.startswith("field."):
                self.add(**{key: unquote(value) for key, value in parser[section].items()})

    def add(self, name, **keys):
        self.fields[name] = Field(name, keys.get("required", "no").lower() in ("true", "yes", "on", "1"),
                                  keys.get("default", ""), keys["enum"].split("|") if "enum" in keys else None,
                                  keys.get("pattern"), int(keys.get("minlength", 0)),
                                  int(keys.get("maxlength", sys.maxsize)), keys.get("type", "string"))

    def from_name(self, name):
        """What the file name says, field by field; its first directory is the user if nothing else tells."""
        values, field = self.from_template(csv_name(name)), self.fields.get("user_id")
        if field and "/" in name and "/" not in self.template and "user_id" not in values:
            user = name.split("/")[0]
            if self.fits(field, user):
                values["user_id"] = os.fsencode(user).decode("latin-1")
        return values

    def from_template(self, name):
        """Nothing unless it fits whole, with as many directories as the template has."""
        pattern, formats = "", {}
        for literal, field, form in re.findall(r"([^{]*)(?:\{([^}:]*):?([^}]*)\})?", self.template):
            pattern += re.escape(literal)
            if field:
                formats[field] = form
                pattern += "(?P<%s>%s)" % (field, time_pattern(form) if form else "[^/]+")
        name = "/".join(name.split("/")[-1 - self.template.count("/"):])
        match = re.fullmatch(pattern, name, re.DOTALL)
        values = {}
        for field, text in match.groupdict().items() if match and formats else ():
            try:
                if formats[field]:
                    text = datetime.datetime.strptime(text, formats[field]).strftime("%Y-%m-%dT%H:%M:%S")
            except ValueError:
                return {}
            if not self.fits(self.fields[field], text):
                return {}
            values[field] = os.fsencode(text).decode("latin-1")
        return values

    @staticmethod
    def fits(field, text):
        return ((field.enum is None or text in field.enum) and field.min <= len(text) <= field.max and
                (field.pattern is None or re.fullmatch(field.pattern, text) is not None))

    def fill(self, columns, name, header, rows):
        """Rows of a file, as they must stand in a training file with these columns."""
        missing = self.from_name(name)
        for column in columns:
            missing.setdefault(column, self.fields[column].default if column in self.fields else "")
        place = {label: index for index, label in enumerate(header)}
        return [[row[place[column]] if column in place else missing[column] for column in columns] for row in rows]


def unquote(value):
    return value[1:-1] if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] else value


def time_pattern(form):
    digits = {"%Y": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%H": r"\d\d", "%M": r"\d\d", "%S": r"\d\d"}
    return "".join(digits.get(part, re.escape(part)) for part in re.findall("%.|[^%]", form))


# --- the ledger ----------------------------------------------------------------------------------------------------

def read_ledger(path, findings):
    """The lines that can be used; each thing wrong with any line is a finding."""
    lines, batch = [], 0
    data = read(path)
    if not data.endswith(b"\n"):
        findings.append("ledger: the last line is cut")
    text = data.decode("latin-1").split("\n")
    if text[0] != LEDGER_HEADER:
        findings.append("ledger: wrong header")
    for number, raw in enumerate(text[1:-1], 2):
        def wrong(what):
            findings.append("ledger line %d: %s" % (number, what))
        cells = raw.split(",")
        if len(cells) != len(Line._fields):
            wrong("%d cells" % len(cells))
            continue
        line = Line(*cells)
        if line.check != xxh3(raw.rpartition(",")[0].encode("latin-1")):
            wrong("wrong check hash")
        numbers = {name: whole(getattr(line, name))
                   for name in "seq batch rows rejected duplicate offset length".split()}
        numbers["bytes"] = whole(line.bytes or "0")
        if None in numbers.values():
            wrong("a number is none")
            continue
        line = line._replace(name=unescape(line.name), **numbers)
        if line.name is None:
            wrong("wrong escapes in the name")
            continue
        check_line(line, lines[-1] if lines else None, batch, wrong)
        batch = line.batch
        lines.append(line)
    return lines


def check_line(line, before, batch, wrong):
    if line.seq != (before.seq + 1 if before else 1):
        wrong("seq %d out of order" % line.seq)
    if line.batch not in (line.seq, batch):
        wrong("batch %d is neither its own seq nor the batch before" % line.batch)
    if not TIME.fullmatch(line.time):
        wrong("time %r" % line.time)
    if line.verdict not in VERDICTS:
        wrong("verdict %r" % line.verdict)
    if before is None and line.verdict not in BEGINS:
        wrong("the first line begins no training file")
    if line.verdict not in BEGINS and not line.name:
        wrong("no name")
    if not re.fullmatch("[0-9a-f]{64}", line.sha256) and (line.sha256 or line.verdict not in BEGINS + ("forgotten",)):
        wrong("sha256 %r" % line.sha256)
    if not re.fullmatch("[0-9a-f]*", line.meta):
        wrong("meta %r" % line.meta)
    if not re.fullmatch("[0-9a-f]{16}", line.range_hash):
        wrong("range_hash %r" % line.range_hash)
    if line.verdict in ("duplicate", "quarantined") and line.rows:
        wrong("%s with rows" % line.verdict)
    if line.length == 0 and line.range_hash != HASH_OF_NOTHING:
        wrong("no bytes, but their hash is %s" % line.range_hash)
    if line.length and line.verdict not in BEGINS + MERGES:
        wrong("%s with %d bytes in the training file" % (line.verdict, line.length))


def forgotten_rows(lines):
    """Rows taken out again, by name."""
    rows = collections.Counter()
    for line in lines:
        if line.verdict == "forgotten":
            rows[line.name] += line.rows
    return rows


def check_repeats(lines, findings):
    """The same content never merges twice under one name, unless it was forgotten in between."""
    merged = {}
    for line in lines:
        key = (line.name, line.sha256, line.meta)
        if line.verdict == "forgotten":
            merged = {known: seq for known, seq in merged.items() if known[0] != line.name}
        elif line.verdict in MERGES:
            if key in merged:
                findings.append("ledger seq %d: %r is merged again, first by %d" % (line.seq, line.name, merged[key]))
            merged[key] = line.seq


# --- the training file ---------------------------------------------------------------------------------------------

class Training:
    """The training file, its columns, and for each line of the present file the rows that stand in its range."""

    def __init__(self, path, lines, findings):
        self.data = read(path) if is_plain(path) else b""
        self.columns, self.ranges, self.lines, end = [], [], [], 0
        if not is_plain(path):
            findings.append("training file: missing")
        starts = [index for index, line in enumerate(lines) if line.verdict in BEGINS]
        for line in lines:
            if line.verdict in BEGINS:
                end = 0
            if line.offset != end:
                findings.append("ledger seq %d: offset %d, but the file ends at %d" % (line.seq, line.offset, end))
            end = line.offset + line.length
        self.lines = lines[starts[-1]:] if starts else []
        if end != len(self.data):
            findings.append("training file: %d bytes, the ranges end at %d" % (len(self.data), end))
        self.committed = end
        forgotten = forgotten_rows(self.lines)
        for line in self.lines:
            self.ranges.append((line, self.read_range(line, line.name in forgotten, findings)))
        self.check_forgotten(forgotten, findings)

    def read_range(self, line, loose, findings):
        def wrong(what):
            findings.append("training file, range of seq %d: %s" % (line.seq, what))
        data = self.data[line.offset:line.offset + line.length]
        if xxh3(data) != line.range_hash:
            wrong("wrong hash")
        try:
            rows = parse_csv(data)
        except csv.Error as error:
            wrong("no CSV: %s" % error)
            return []
        if data and not data.endswith(b"\n"):
            wrong("does not end with a line")
        if line.verdict in BEGINS:
            self.columns, rows = (rows[0], rows[1:]) if rows else ([], [])
            if not self.columns:
                wrong("no header")
        elif not is_written_so(rows, data):
            wrong("rows are not written as they must be")
        if any(len(row) != len(self.columns) for row in rows):
            wrong("a row with another number of cells than the header")
        if line.verdict in BEGINS + MERGES and len(rows) != line.rows and not loose:
            wrong("%d rows, %d are booked" % (len(rows), line.rows))
        return rows

    def check_forgotten(self, forgotten, findings):
        booked, there = collections.Counter(), collections.Counter()
        for line, rows in self.ranges:
            if line.name in forgotten and line.verdict in MERGES:
                booked[line.name] += line.rows
                there[line.name] += len(rows)
        for name, gone in forgotten.items():
            if booked[name] - gone != there[name]:
                findings.append("%r: %d rows booked, %d forgotten, %d there" % (name, booked[name], gone, there[name]))

    @functools.cached_property
    def rows(self):
        return [row for _, rows in self.ranges for row in rows]

    def count(self, column):
        if column not in self.columns:
            return {}
        place = self.columns.index(column)
        return dict(count_cells(self.rows, place))


# --- what was sent -------------------------------------------------------------------------------------------------

class Sent:
    """Contents by size and hash: every file sent, and those beginnings of them of which the ledger speaks."""

    def __init__(self, top, lines):
        self.contents, wanted = {}, {(line.bytes, line.sha256) for line in lines}
        lengths = sorted({length for length, _ in wanted})
        self.files = [csv_inside(path, read(os.path.join(top, path))) for path in files_below(top)]
        for data in self.files:
            digest, done = hashlib.sha256(), 0
            for length in lengths:
                if length > len(data):
                    break
                digest.update(data[done:length])
                done = length
                if (length, digest.hexdigest()) in wanted:
                    self.contents[length, digest.hexdigest()] = data[:length]

    def of(self, line):
        return self.contents.get((line.bytes, line.sha256))


def check_sent(training, sent, schema, lines, findings):
    forgotten = forgotten_rows(lines)
    known = collections.defaultdict(list)  # accepted so far: (name, content), by the name of the CSV
    ranges = {line.seq: rows for line, rows in training.ranges}
    for line in lines:
        if line.verdict not in ACCEPTS:
            continue
        content = sent.of(line)
        if content is None:
            findings.append("ledger seq %d: %s content of %r was never sent" % (line.seq, line.verdict, line.name))
            continue
        header, *rows = parse_csv(content, strict=False)
        # The same CSV, packed or not, is one file that grows.
        before = [(name, other) for name, other in known[csv_name(line.name)] if is_beginning(other, content)]
        if line.verdict == "merged" and before and line.name not in forgotten:
            findings.append("ledger seq %d: %r is merged whole, though its beginning was" % (line.seq, line.name))
        count = len(rows)
        if line.verdict == "grown":
            before = before or [pair for pairs in known.values() for pair in pairs if is_beginning(pair[1], content)]
            if not before:
                findings.append("ledger seq %d: %r has grown from nothing" % (line.seq, line.name))
            longest = max((len(other) for _, other in before), default=0)
            rows = rows[len(parse_csv(content[:longest], strict=False)) - 1 if before else 0:]
            # What came under another name are duplicates under this one.
            if (line.name, content[:longest]) in before:
                count = len(rows)
        known[csv_name(line.name)].append((line.name, content))
        if line.rows + line.rejected + line.duplicate != count:
            findings.append("ledger seq %d: %d rows read of %r, but %d booked" %
                            (line.seq, count, line.name, line.rows + line.rejected + line.duplicate))
        if line.verdict in MERGES and line.seq in ranges:
            fitting = [row for row in rows if len(row) == len(header)]
            want = schema.fill(training.columns, line.name, header, fitting)
            check_rows(line, want, ranges[line.seq], line.rejected or line.name in forgotten, findings)


def is_beginning(part, content):
    return len(part) < len(content) and content.startswith(part) and part.endswith(b"\n")


def check_rows(line, want, have, some_are_out, findings):
    """The rows in a range are those of the file, in its order; all, unless some were rejected or forgotten."""
    if some_are_out:
        rest = iter(want)
        same = all(row in rest for row in have)
    else:
        same = have == want
    if not same:
        odd = [row for row in have if row not in want] or [row for row in want if row not in have]
        detail = ": " + write_row(odd[0]).decode("latin-1").strip() if odd else ", in order"
        findings.append("range of seq %d: not the rows of %r%s" % (line.seq, line.name, detail))


def check_unique(training, findings):
    for row, count in collections.Counter(map(tuple, training.rows)).items():
        if count > 1:
            findings.append("training file: %d times the row %s" % (count, write_row(row).decode("latin-1").strip()))


# --- quarantine, drop directory, what is left over -----------------------------------------------------------------

class Quarantine:
    """Quarantined files and their lists of violations, by path below quarantine/."""

    def __init__(self, top, lines, findings):
        names = {slot(line.name) for line in lines}
        booked = {(slot(line.name), line.sha256) for line in lines if line.verdict == "quarantined"}
        paths = {path: self.digest(path, read(os.path.join(top, path)), booked) for path in files_below(top)}
        companions = {path for path in paths for kind in (".errors.csv", ".rejects.csv")
                      if path.endswith(kind) and (path[:-len(kind)] in paths or origin(path[:-len(kind)]) in names)
                      and (origin(path), paths[path]) not in booked}
        # What a sender put beside a file stands beside it here, too.
        companions |= {path for path in paths for kind in SIDECARS
                       if path.endswith(kind) and path[:-len(kind)] in paths}
        self.beside = {path: tuple(paths.get(path + kind) for kind in SIDECARS) for path in paths}
        self.top = top
        self.files = {path: digest for path, digest in paths.items() if path not in companions}
        self.violations = collections.Counter()
        self.lists = {path for path in companions if path.endswith(".errors.csv")}
        for path in sorted(self.lists):
            self.read_list(path, findings)

    @staticmethod
    def digest(path, data, booked):
        """A packed file of which too much comes out, or not all, is known by its own bytes."""
        own = sha256(data)
        return own if (origin(path), own) in booked else sha256(csv_inside(origin(path), data))

    def read_list(self, path, findings):
        def wrong(what):
            findings.append("quarantine/%s: %s" % (path, what))
        try:
            header, *rows = parse_csv(read(os.path.join(self.top, path)))
        except (csv.Error, ValueError) as error:
            wrong("no CSV: %s" % error)
            return
        if header != ERRORS_HEADER:
            wrong("wrong header")
        if not rows:
            wrong("no violation in it")
        for row in rows:
            if len(row) != len(ERRORS_HEADER):
                wrong("%d cells in a line" % len(row))
                continue
            line, column, _, code, _, message = row
            more = re.match(r"(\d+) more\b", message) if not line else None
            self.violations[code] += int(more[1]) if more else 1
            if code not in CODES:
                wrong("code %r" % code)
            if not re.fullmatch(r"\d*", line) or not re.fullmatch(r"\d*", column):
                wrong("line %r, column %r" % (line, column))
            if not message:
                wrong("no message")


def origin(path):
    return re.sub(r"\.~\d+~$", "", path)


def slot(name):
    """What a file is called in quarantine and archive: a name that leaves no room for suffixes is shortened."""
    directory, base = os.path.split(os.fsencode(name))
    suffix = re.search(rb"\.csv(\.gz|\.zst)?$", base, re.IGNORECASE)
    base = base[:192] + b"~%s%s" % (xxh3(base).encode(), suffix[0]) if len(base) > 224 else base
    return os.fsdecode(os.path.join(directory, base))


def check_quarantine(quarantine, lines, findings):
    unresolved = collections.defaultdict(dict)
    for line in lines:
        if line.verdict == "quarantined":
            unresolved[slot(line.name)][line.sha256] = line
        elif line.verdict in ACCEPTS:
            unresolved.pop(slot(line.name), None)
            if line.rejected and slot(line.name) + ".errors.csv" not in quarantine.lists:
                findings.append("%r: rows rejected, but no list of violations" % line.name)
    for name, digests in unresolved.items():
        for digest in digests:
            kept = [path for path, there in quarantine.files.items() if origin(path) == name and there == digest]
            if not kept or len({quarantine.beside[path] for path in kept}) < len(kept):
                findings.append("%r is quarantined, but quarantine holds %d copies of it" % (name, len(kept)))
            for path in kept:
                if path + ".errors.csv" not in quarantine.lists:
                    findings.append("quarantine/%s: no list of violations" % path)
    booked = {(slot(line.name), line.sha256) for line in lines if line.verdict == "quarantined"}
    for path, digest in quarantine.files.items():
        if (origin(path), digest) not in booked:
            findings.append("quarantine/%s: not in the ledger" % path)


def check_left_overs(data_dir, findings):
    for place in ("state", "stats", "quarantine", "archive"):
        for path in files_below(os.path.join(data_dir, place)):
            if (os.path.basename(path).startswith(".") or place == "stats" and path not in STATS_FILES or
                    place == "state" and re.search(r"^moving/|\.(tmp|new)\b", path)):
                findings.append("%s/%s: left over" % (place, path))
    for name in os.listdir(data_dir):
        if name.startswith(".training") or re.match(r"training_data\.csv.", name):
            findings.append("%s: left over" % name)


class Drop:
    """The CSV files in the drop directory, and how much of each the ledger has accepted."""

    def __init__(self, top, lines, recursive):
        self.names = [path for path in files_below(top) if is_csv_name(path) and (recursive or "/" not in path)]
        plain = [path for path in self.names if is_plain(os.path.join(top, path))]
        self.file_count = len(plain)  # with those that the checker may not read
        self.files = {path: csv_inside(path, read(os.path.join(top, path))) for path in plain
                      if os.access(os.path.join(top, path), os.R_OK)}
        self.accepted = {}
        verdicts = collections.defaultdict(dict)
        for line in lines:
            if line.verdict in ACCEPTS:
                verdicts[line.name][line.bytes, line.sha256] = line
            elif line.verdict == "forgotten":
                verdicts.pop(line.name, None)
        for path, data in self.files.items():
            known = [line for line in verdicts[path].values() if sha256(data[:line.bytes]) == line.sha256]
            if known:
                self.accepted[path] = data[:max(line.bytes for line in known)]

    def whole(self, path):
        return path in self.accepted and len(self.accepted[path]) == len(self.files[path])


def check_drop(drop, quarantine, data_dir, source, findings):
    in_quarantine = collections.defaultdict(list)
    for path, digest in quarantine.files.items():
        in_quarantine[digest].append(path)
    for path, data in drop.files.items():
        for other in in_quarantine.get(sha256(data), ()):
            findings.append("user_data/%s and quarantine/%s are the same" % (path, other))
        if source and drop.whole(path):
            findings.append("user_data/%s: accepted, but still there" % path)


def check_archive(data_dir, lines, findings):
    top = os.path.join(data_dir, "archive")
    there = {(origin(path), sha256(csv_inside(origin(path), read(os.path.join(top, path))))) for path in files_below(top)}
    last = {line.name: line for line in lines if line.verdict in ACCEPTS}
    for name, line in last.items():
        if (slot(name), line.sha256) not in there:
            findings.append("%r: accepted, but not in the archive" % name)


# --- statistics ----------------------------------------------------------------------------------------------------

def want_stats(lines, training, quarantine, drop, training_path):
    """What stats.json must say."""
    sums = collections.Counter()
    for line in lines:
        sums["merged"] += line.rows if line.verdict in MERGES else 0
        sums["forgotten"] += line.rows if line.verdict == "forgotten" else 0
        sums["rejected"] += line.rejected
        sums["duplicate"] += line.duplicate
    last = {slot(line.name): line.verdict for line in lines if line.verdict not in BEGINS}
    verdicts = collections.Counter(line.verdict for line in lines)
    want = {
        "user_files": drop.file_count,
        "total_user_samples": sum(len(parse_csv(data, strict=False)) - 1 for data in drop.accepted.values()),
        "users": training.count("user_id"),
        "main_training_samples": len(training.rows),
        "files": {verdict: verdicts[verdict] for verdict in VERDICTS if verdict not in BEGINS},
        "rows": {kind: sums[kind] for kind in ("merged", "rejected", "duplicate", "forgotten")},
        "violations": dict(quarantine.violations),
        "committed_bytes": training.committed,
        "training_inode": os.stat(training_path).st_ino if os.path.exists(training_path) else None,
        "quarantined": sum(last.get(origin(path)) == "quarantined" for path in quarantine.files),
    }
    for key, column in (("labels", "label"), ("sources", "source"), ("phases", "phase")):
        if column in training.columns:
            want[key] = training.count(column)
    return want


def check_stats(path, want, drop, findings):
    try:
        have = json.loads(read(path))
    except (OSError, ValueError) as error:
        findings.append("stats.json: %s" % error)
        return
    for key, value in want.items():
        got = have.get(key)
        if isinstance(value, dict):
            got = got if isinstance(got, dict) else {"no": "object"}
            differs = {word: (got.get(word, 0), value.get(word, 0)) for word in got.keys() | value.keys()
                       if got.get(word, 0) != value.get(word, 0) and not (key == "files" and word in BEGINS)}
            if differs:
                findings.append("stats.json: %s: (said, found) differ: %s" % (key, dict(sorted(differs.items())[:5])))
        elif got != value:
            findings.append("stats.json: %s says %r, found %r" % (key, got, value))
    if not TIME.fullmatch(str(have.get("generated_at"))):
        findings.append("stats.json: generated_at %r" % have.get("generated_at"))
    waiting = have.get("waiting")
    waiting = waiting if isinstance(waiting, int) else len(waiting or ())
    unjudged = [name for name in drop.names if not drop.whole(name)]
    if waiting != len(unjudged):
        findings.append("stats.json: %d waiting, but %d files in user_data are neither accepted nor in quarantine: %r" %
                        (waiting, len(unjudged), unjudged[:5]))


def want_users(lines, training, schema):
    """By user: files merged, rows, files rejected, the time of the last of them. A user is who the rows name; of a
    rejected file whom its name tells."""
    users = collections.defaultdict(lambda: {"files": 0, "rows": 0, "rejected": 0, "last": ""})
    place = training.columns.index("user_id") if "user_id" in training.columns else None
    if place is None:
        return users
    for line, rows in training.ranges:
        for user, count in count_cells(rows, place).items():
            users[user]["rows"] += count
            if line.verdict in MERGES:
                users[user]["files"] += line.verdict == "merged" or users[user]["files"] == 0
                users[user]["last"] = line.time
    for line in lines:
        if line.verdict == "quarantined":
            user = users[schema.from_name(line.name).get("user_id", schema.fields["user_id"].default)]
            user["rejected"] += 1
            user["last"] = max(user["last"], line.time)
    return users


def check_users(path, want, lines, findings):
    try:
        header, *rows = parse_csv(read(path))
    except (OSError, ValueError, csv.Error) as error:
        findings.append("users.csv: %s" % error)
        return
    if header != USERS_HEADER:
        findings.append("users.csv: wrong header")
        return
    # Of what was forgotten, or is in a training file that is gone, the rows can no longer be looked at.
    all_there = sum(line.verdict in BEGINS for line in lines) == 1 and not forgotten_rows(lines)
    said = {}
    for row in rows:
        user, *numbers = row[:4]
        if len(row) != len(header) or user in said or None in map(whole, numbers):
            findings.append("users.csv: the line of %r" % user)
            continue
        said[readable(user)] = {**dict(zip(("files", "rows", "rejected"), map(whole, numbers))), "last": row[4]}
    for user in said.keys() | want.keys():
        have = said.get(user, {"files": 0, "rows": 0, "rejected": 0, "last": ""})
        for what in ("files", "rows", "rejected", "last"):
            least = what == "last" or what == "files" and not all_there
            if not (have[what] >= want[user][what] if least else have[what] == want[user][what]):
                findings.append("users.csv: %r: %s says %r, found %r" % (user, what, have[what], want[user][what]))
        if have["last"] and not TIME.fullmatch(have["last"]):
            findings.append("users.csv: %r: last_arrival %r" % (user, have["last"]))


# --- all of it -----------------------------------------------------------------------------------------------------

def check(data_dir, schema=None, sent_dir=None, unique=False, source=None, recursive=False):
    """Returns (findings, counts)."""
    findings, schema = Findings(), schema or Schema()

    def place(*parts):
        return os.path.join(data_dir, *parts)
    if not is_plain(place("state", "ledger.csv")):
        return ["ledger: missing"], {}
    lines = read_ledger(place("state", "ledger.csv"), findings)
    check_repeats(lines, findings)
    training = Training(place("training_data.csv"), lines, findings)
    if training.lines and training.lines[0].verdict == "started" and training.columns != list(schema.fields):
        findings.append("training file: the columns are not the schema's")
    if sent_dir:
        check_sent(training, Sent(sent_dir, lines), schema, lines, findings)
    if unique:
        check_unique(training, findings)
    quarantine = Quarantine(place("quarantine"), lines, findings)
    check_quarantine(quarantine, lines, findings)
    drop = Drop(place("user_data"), lines, recursive)
    check_drop(drop, quarantine, data_dir, source, findings)
    if source == "archive":
        check_archive(data_dir, lines, findings)
    check_left_overs(data_dir, findings)
    want = want_stats(lines, training, quarantine, drop, place("training_data.csv"))
    check_stats(place("stats", "stats.json"), want, drop, findings)
    check_users(place("stats", "users.csv"), want_users(lines, training, schema), lines, findings)
    counts = {"lines": len(lines), "rows": want["main_training_samples"], "bytes": training.committed, **want["files"]}
    return findings, counts


def check_sites(path):
    """Check the data directory SITE/data of each line."""
    failures = 0
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for line in lines:
        site, schema, source, recursive = line.split("\t")
        gc.disable()
        findings, _ = check(os.path.join(site, "data"), Schema(schema), None, False, source or None, recursive == "yes")
        gc.enable()
        gc.collect()
        failures += bool(findings)
        for finding in findings or ["ok"]:
            print(site + "\t" + finding.replace("\n", " "))
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", nargs="?")
    parser.add_argument("--schema")
    parser.add_argument("--sent")
    parser.add_argument("--unique", action="store_true")
    parser.add_argument("--source", choices=("archive", "delete"))
    parser.add_argument("--recursive", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--sites", metavar="FILE", help="check many: each line is SITE, SCHEMA, SOURCE, yes or no for recursive, "
                        "with tabs between; prints SITE, a tab and ok or a finding")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.sites:
        return check_sites(options.sites)
    if not options.data_dir:
        parser.error("DATA_DIR is missing")
    schema = Schema(options.schema) if options.schema else Schema()
    gc.disable()  # a list for each row, and none in a circle
    findings, counts = check(options.data_dir, schema, options.sent, options.unique, options.source,
                             options.recursive)
    for finding in findings:
        print("checker: " + finding)
    if not findings:
        print("checker: ok, " + ", ".join("%d %s" % (count, what) for what, count in counts.items()))
    return 1 if findings else 0


# --- does it find what it must? ------------------------------------------------------------------------------------

class Fixture:
    """A small data directory, as good as the collector's, made by hand; and ways to break it."""

    METRICS = ",".join([name for name, field in Schema().fields.items() if field.required])

    def __init__(self, top):
        self.top, self.lines, self.training, self.number = top, [], b"", 0
        for place in ("user_data", "quarantine", "stats", "state/moving", "sent"):
            os.makedirs(os.path.join(top, place))
        columns = self.METRICS + ",user_id,source,label,collection_timestamp\n"
        self.book("started", "", b"", columns.encode())
        one, two = self.rows(3), self.rows(2)
        name, filled = "user_001_web_20240101_120000.csv", ",user_001,web,normal,2024-01-01T12:00:00"
        self.send(name, one)
        self.book("merged", name, self.content(one), self.fill(one, filled), rows=3)
        self.send(name, one + two)
        self.book("grown", name, self.content(one + two), self.fill(two, filled), rows=2)
        rows = [row + ",odd\r\n" for row in self.rows(2)]
        own = b"\xef\xbb\xbf" + (self.METRICS + ",label\r\n" + "".join(rows)).encode()
        self.write("user_data/b c.csv", own)
        self.write("sent/own", own)
        filled = "".join(row.replace(",odd\r", ",anonymous,external,odd,") for row in rows)
        self.book("merged", "b c.csv", own, filled.encode(), rows=2)
        self.write("user_data/again.csv", own)
        self.book("duplicate", "again.csv", own, duplicate=2)
        self.bad = self.content(self.rows(1, cpu="101"))
        self.write("quarantine/bad.csv", self.bad)
        self.write("quarantine/bad.csv.errors.csv", (",".join(ERRORS_HEADER) + "\n"
                   "2,2,cpu_percent,constraint-error,101,cpu_percent: 101 is above maximum 100\n"
                   ",,,constraint-error,,4 more constraint-error\n").encode())
        self.write("sent/bad", self.bad)
        self.book("quarantined", "bad.csv", self.bad, rejected=1)
        gone = self.rows(2)
        self.write("sent/gone", self.content(gone))
        self.book("merged", "gone.csv", self.content(gone), rows=2)
        self.book("forgotten", "gone.csv", self.content(gone), rows=2)
        self.write("user_data/again.csv.gz", gzip.compress(own[:20]) + gzip.compress(own[20:]))
        self.book("duplicate", "again.csv.gz", own, duplicate=2)
        self.write("user_data/empty.csv", b"")
        self.finish()

    def rows(self, count, cpu="1.5"):
        self.number += count
        return ["%d.0,%s,2,3,4,5,6,7,idle" % (number, cpu) for number in range(self.number - count, self.number)]

    def content(self, rows):
        return (self.METRICS + "\n" + "".join(row + "\n" for row in rows)).encode()

    def fill(self, rows, rest):
        return "".join(row + rest + "\n" for row in rows).encode()

    def send(self, name, rows):
        self.write("user_data/" + name, self.content(rows))
        self.write("sent/%d" % self.number, self.content(rows))

    def write(self, path, data):
        with open(os.path.join(self.top, path), "wb") as file:
            file.write(data)

    def read(self, path):
        return read(os.path.join(self.top, path))

    def book(self, verdict, name, content, rows_of=b"", rows=0, rejected=0, duplicate=0):
        seq = len(self.lines) + 1
        escaped = re.sub("[^A-Za-z0-9._~/-]", lambda match: "%%%02X" % ord(match[0]), name)
        self.lines.append(["%d" % seq, "%d" % (seq - (seq in (3, 5))), "2024-01-01T12:00:00.000Z", verdict, escaped,
                           "%d" % len(content), sha256(content), "", "%d" % rows, "%d" % rejected, "%d" % duplicate,
                           "%d" % len(self.training), "%d" % len(rows_of), xxh3(rows_of)])
        self.training += rows_of

    def finish(self):
        """Writes what was booked, and the statistics that the checker itself works out for it."""
        self.write_ledger()
        self.write("training_data.csv", self.training)
        lines = read_ledger(os.path.join(self.top, "state/ledger.csv"), [])
        training = Training(os.path.join(self.top, "training_data.csv"), lines, [])
        stats = {"user_files": 5, "total_user_samples": 11, "users": {"user_001": 5, "anonymous": 2},
                 "main_training_samples": 7, "generated_at": "2024-01-01T12:00:01Z", "waiting": 1, "quarantined": 1,
                 "files": {"started": 1, "merged": 3, "grown": 1, "duplicate": 2, "quarantined": 1, "forgotten": 1},
                 "rows": {"merged": 9, "rejected": 1, "duplicate": 4, "forgotten": 2},
                 "violations": {"constraint-error": 5}, "labels": {"normal": 5, "odd": 2},
                 "sources": {"web": 5, "external": 2}, "phases": {"idle": 7}, "committed_bytes": len(training.data),
                 "training_inode": os.stat(os.path.join(self.top, "training_data.csv")).st_ino}
        self.write("stats/stats.json", json.dumps(stats).encode())
        self.write("stats/users.csv", (",".join(USERS_HEADER) + "\nuser_001,1,5,0,2024-01-01T12:00:00.000Z\n"
                                       "anonymous,2,2,1,2024-01-01T12:00:00.000Z\n").encode())

    def write_ledger(self):
        text = LEDGER_HEADER + "\n"
        for line in self.lines:
            raw = ",".join(line)
            text += raw + "," + xxh3(raw.encode()) + "\n"
        self.write("state/ledger.csv", text.encode())

    def booked(self, which, **cells):
        """Books a line differently, with a check hash that is right."""
        for name, value in cells.items():
            self.lines[which - 1][Line._fields.index(name)] = value
        self.write_ledger()

    def edit(self, path, old, new):
        data = self.read(path)
        assert old in data, (path, old)
        self.write(path, data.replace(old, new, 1))

    def remove(self, path):
        os.unlink(os.path.join(self.top, path))

    def rewritten(self, seq, old, new):
        """Other bytes of the same length in a range, with the hash of them: only the rows are wrong."""
        line = self.lines[seq - 1]
        start, length = int(line[-3]), int(line[-2])
        part = self.training[start:start + length].replace(old, new, 1)
        assert len(part) == length and part != self.training[start:start + length]
        self.write("training_data.csv", self.training[:start] + part + self.training[start + length:])
        self.booked(seq, range_hash=xxh3(part))
        return part


# What is broken, and what at least one finding must then say.
BREAKS = {
    "a ledger cut short; last line is cut": lambda f: f.write("state/ledger.csv", f.read("state/ledger.csv")[:-3]),
    "another header of the ledger; wrong header": lambda f: f.edit("state/ledger.csv", b"seq,", b"Seq,"),
    "a flipped digit in the ledger; wrong check hash": lambda f: f.edit("state/ledger.csv", b",merged,", b",Merged,"),
    "no ledger; ledger: missing": lambda f: f.remove("state/ledger.csv"),
    "a gap in seq; seq 9 out of order": lambda f: f.booked(8, seq="9"),
    "a batch of its own; batch 3": lambda f: f.booked(5, batch="3"),
    "a time without a zone; time": lambda f: f.booked(4, time="2024-01-01T12:00:00"),
    "an unknown verdict; verdict 'doubled'": lambda f: f.booked(5, verdict="doubled"),
    "a name not escaped; escapes": lambda f: f.booked(4, name="b c.csv"),
    "a name escaped too much; escapes": lambda f: f.booked(4, name="b%20%63.csv"),
    "a sum that is none; sha256": lambda f: f.booked(2, sha256="0" * 63),
    "an offset off by one; offset 485, but": lambda f: f.booked(4, offset="%d" % (int(f.lines[3][-3]) + 1)),
    "a line without rows that hashes something; no bytes, but": lambda f: f.booked(6, range_hash="0" * 16),
    "a wrong range hash; wrong hash": lambda f: f.booked(4, range_hash="0" * 16),
    "wrong booked rows; 3 rows, 4 are booked": lambda f: f.booked(2, rows="4"),
    "wrong duplicate rows; 2 rows read": lambda f: f.booked(5, duplicate="3"),
    "more forgotten than there was; 3 forgotten": lambda f: f.booked(8, rows="3"),
    "a file merged twice; merged again": lambda f: f.booked(5, verdict="merged", name="b%20c.csv"),
    "a grown file merged whole; its beginning was": lambda f: f.booked(3, verdict="merged"),
    "content that was never sent; never sent": lambda f: f.booked(5, sha256="0" * 64),
    "no training file; training file: missing": lambda f: f.remove("training_data.csv"),
    "a row too many; ranges end at":
        lambda f: f.write("training_data.csv", f.training + f.training.splitlines(True)[-1]),
    "a row too few; ranges end at":
        lambda f: f.write("training_data.csv", f.training[:f.training[:-1].rindex(b"\n") + 1]),
    "a flipped byte; wrong hash": lambda f: f.edit("training_data.csv", b"1.5", b"1.6"),
    "a changed cell, hashed; not the rows": lambda f: f.rewritten(2, b"1.5", b"1.6"),
    "metadata not from the name; not the rows": lambda f: f.rewritten(3, b",web,", b",Web,"),
    "a row in place of another; times the row": lambda f: f.rewritten(2, b"1.0,", b"0.0,"),
    "rows in another order; in order": lambda f: f.rewritten(3, *[b"".join(f.training.splitlines(True)[4:6][::way])
                                                      for way in (1, -1)]),
    "a needless quote; not written as": lambda f: f.rewritten(2, b"2.0,", b'"2",'),
    "no file in quarantine; 0 copies": lambda f: f.remove("quarantine/bad.csv"),
    "another file in quarantine; not in the ledger": lambda f: f.edit("quarantine/bad.csv", b"101", b"102"),
    "two copies in quarantine; 2 copies": lambda f: (f.write("quarantine/bad.csv.~2~", f.bad), f.write(
        "quarantine/bad.csv.~2~.errors.csv", f.read("quarantine/bad.csv.errors.csv"))),
    "no reasons; no list of violations": lambda f: f.remove("quarantine/bad.csv.errors.csv"),
    "an unknown code; code 'constraint'":
        lambda f: f.edit("quarantine/bad.csv.errors.csv", b"constraint-error", b"constraint"),
    "another header of the reasons; bad.csv.errors.csv: wrong header":
        lambda f: f.edit("quarantine/bad.csv.errors.csv", b"field", b"name"),
    "reasons without a reason; no violation in it":
        lambda f: f.write("quarantine/bad.csv.errors.csv", ",".join(ERRORS_HEADER).encode()),
    "a file in quarantine and in the drop directory; are the same": lambda f: f.write("user_data/bad.csv", f.bad),
    "a file lost from sight; neither accepted nor": lambda f: f.write("user_data/new.csv", f.content(f.rows(1))),
    "another CSV inside a packed file; neither accepted nor":
        lambda f: f.write("user_data/again.csv.gz", gzip.compress(f.content(f.rows(1)))),
    "a packed file that is cut; neither accepted nor":
        lambda f: f.write("user_data/again.csv.gz", f.read("user_data/again.csv.gz")[:-1]),
    "something in state/moving; left over": lambda f: f.write("state/moving/1", b""),
    "a new ledger left over; left over": lambda f: f.write("state/ledger.csv.new", b""),
    "a temporary statistics file; left over": lambda f: f.write("stats/.stats.json.tmp", b""),
    "statistics: no time; generated_at": lambda f: f.edit("stats/stats.json", b"generated_at", b"created"),
    "statistics: no statistics; No such file": lambda f: f.remove("stats/stats.json"),
    **{"statistics; " + key: lambda f, key=b'"%s": ' % key.encode(): f.edit("stats/stats.json", key, key + b"1")
       for key in ("user_files total_user_samples main_training_samples merged grown rejected user_001 odd web idle "
                   "constraint-error committed_bytes training_inode quarantined waiting").split()},
    "users: a wrong number; rows says 6": lambda f: f.edit("stats/users.csv", b"user_001,1,5", b"user_001,1,6"),
    "users: a user missing; rows says 0, found 2":
        lambda f: f.edit("stats/users.csv", b"anonymous,2,2,1,2024-01-01T12:00:00.000Z\n", b""),
    "users: rejected files; rejected says 2":
        lambda f: f.edit("stats/users.csv", b"anonymous,2,2,1", b"anonymous,2,2,2"),
    "users: too few files; files says 0": lambda f: f.edit("stats/users.csv", b"user_001,1,", b"user_001,0,"),
    "users: an arrival too early; last says": lambda f: f.edit("stats/users.csv", b"2024", b"2023"),
    "users: another header; users.csv: wrong header":
        lambda f: f.edit("stats/users.csv", b"rejected_files", b"rejected"),
}


def self_test():
    failures = 0
    with tempfile.TemporaryDirectory(prefix="checker.") as top:
        for number, (what, broken) in enumerate([("a good directory", None), *BREAKS.items()]):
            fixture = Fixture(os.path.join(top, "%d" % number))
            if broken:
                broken(fixture)
            what, _, expected = what.partition("; ")
            findings, _ = check(fixture.top, None, os.path.join(fixture.top, "sent"), True)
            passed = any(expected in finding for finding in findings) if broken else not findings
            failures += not passed
            print("%s %d - %s: %s" % ("ok" if passed else "not ok", number + 1, what, findings[:3] or "nothing found"))
    print("1..%d" % (len(BREAKS) + 1))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
