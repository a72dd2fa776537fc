#!/usr/bin/env python3
"""Files that grow and are sent again, by every way that collectors have, while the daemon is killed.

    tests/stress/growing.py [--files N] [--rounds N] [--kills N] [--seed S] [--build DIR] [--scp COMMAND --host HOST] [--keep]

Each of the ways has its share of the files. In each round every file gets a few rows, and often a part of the next one;
then all are sent: by rsync with its temporary files, with --inplace and with --append, by scp, by cp over what is there,
by a writer that opens its file for each piece, and by one that never closes it and whose buffer ends wherever it is
full. Meanwhile, and between the rounds, the daemon is killed (SIGKILL) and started again. After each round all complete
rows must be merged and no other one; but files of which no round has sent a whole last row yet begin to be merged when a
daemon has seen them grow. After the last round each row stands once, in order, and nothing is in quarantine.
Then some files are cut shorter and some get other rows: they must be changed-file, or be merged, as configured; and
tests/checker.py must find nothing.

At last one row is appended to a file of 10 MB, and what the daemon reads for it is told. Prints TAP; the seed makes the
rows and cuts the same again. The scp is that of tests/e2e/arrive/growing.sh, which has an sshd of its own; without it cp stands
in.
"""
import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from kill import METRICS, Report, Site

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE = 120  # seconds until a round is merged
RESCAN = 2      # seconds: nothing tells that a file that stays open has grown


class File:
    """A collector's file: its rows, and the beginning of the next one."""

    def __init__(self, number, way, source, drop):
        self.number, self.way = number, way
        name = "%s/c%05d.csv" % (way, number)
        self.name, self.source, self.drop = name, os.path.join(source, name), os.path.join(drop, name)
        self.rows = 0
        self.cut = True    # every round so far has ended in the middle of a row
        self.content = (METRICS + "\n").encode()
        self.sent = 0      # bytes, by those who append
        self.begun = b""   # what is left of a row whose beginning is sent
        self.writer = None  # of the one that never closes

    def row(self, first=None):
        return b"%d,99.9,20.5,1e0,%d,0,0,0,idle\n" % (self.rows if first is None else first, self.number)

    def grow(self, rng, whole):
        if self.begun:
            self.content += self.begun
            self.rows += 1
        for _ in range(rng.randrange(1, 4)):
            self.content += self.row()
            self.rows += 1
        self.begun = b""
        if not whole and (self.number // 7 % 3 == 0 or rng.random() < 0.6):
            row = self.row()
            cut = rng.randrange(1, len(row) - 1)  # without its line end alone it would be a row
            self.content, self.begun = self.content + row[:cut], row[cut:]
        else:
            self.cut = False


class Senders:
    """All the ways. Those who copy do it from files of their own."""

    def __init__(self, top, drop, options, rng):
        self.source, self.drop, self.options, self.rng = os.path.join(top, "source"), drop, options, rng
        self.ways = {"rsync": self.rsync, "inplace": self.rsync, "append": self.rsync, "scp": self.scp, "cp": self.copy,
                     "reopened": self.reopened, "open": self.never_closed}
        for way in self.ways:
            os.makedirs(os.path.join(self.source, way))
            os.makedirs(os.path.join(drop, way))
        self.files = [File(number, list(self.ways)[number % len(self.ways)], self.source, drop)
                      for number in range(options.files)]

    def by_way(self, way):
        return [file for file in self.files if file.way == way]

    def send(self):
        for way, send in self.ways.items():
            send(way)

    def command(self, *words):
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)

    def write_sources(self, way):
        for file in self.by_way(way):
            with open(file.source, "wb") as out:
                out.write(file.content)

    def rsync(self, way):
        self.write_sources(way)
        options = {"rsync": [], "inplace": ["--inplace", "--no-whole-file"], "append": ["--append"]}[way]
        self.command("rsync", "-a", *options, os.path.join(self.source, way) + "/", os.path.join(self.drop, way) + "/")

    def scp(self, way):
        if not self.options.scp:
            self.copy(way)
            return
        self.write_sources(way)
        self.command(*self.options.scp.split(), *[file.source for file in self.by_way(way)],
                     "%s:%s/" % (self.options.host, os.path.join(self.drop, way)))

    def copy(self, way):
        self.write_sources(way)
        self.command("cp", *[file.source for file in self.by_way(way)], os.path.join(self.drop, way) + "/")

    def reopened(self, way):
        for file in self.by_way(way):
            with open(file.drop, "ab") as out:
                out.write(file.content[file.sent:])
            file.sent = len(file.content)

    def never_closed(self, way):
        for file in self.by_way(way):
            if file.writer is None:
                file.writer = open(file.drop, "ab", buffering=0)
            while file.sent < len(file.content):
                file.sent += file.writer.write(file.content[file.sent:file.sent + self.rng.randrange(1, 100)])

    def close(self):
        for file in self.files:
            if file.writer:
                file.writer.close()


class Ledger:
    """How many rows are booked. Lines are added to it, so that what was read need not be read again."""

    def __init__(self, data):
        self.path, self.read = os.path.join(data, "state", "ledger.csv"), 0
        self.rows, self.verdicts = collections.Counter(), collections.Counter()  # rows by name

    def update(self):
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb") as file:
            file.seek(self.read)
            text = file.read()
        text = text[:text.rfind(b"\n") + 1]
        self.read += len(text)
        for line in text.splitlines():
            cells = line.split(b",")
            if cells[0] != b"seq":
                self.rows[cells[4].decode()] += int(cells[8])
                self.verdicts[cells[3].decode()] += 1


class Run:
    """A site with its senders, from the first round to the last."""

    def __init__(self, top, options, changed):
        self.options, self.rng, self.changed = options, random.Random(options.seed), changed
        os.mkdir(top)
        self.site = Site(top, options.build)
        with open(self.site.ini, "a", encoding="ascii") as ini:
            ini.write("rescan = %d\n[merge]\nchanged = %s\n" % (RESCAN, changed))
        self.senders = Senders(top, self.site.drop, options, self.rng)
        self.ledger = Ledger(self.site.data)
        self.kills = 0

    def kill(self):
        """SIGKILL, and another daemon."""
        self.kills += self.site.kill("daemon")
        self.site.start("daemon")

    def kill_meanwhile(self, times):
        for wait in times:
            time.sleep(wait)
            self.kill()

    def round(self, kills, whole):
        """Everybody sends, while the daemon is killed so many times."""
        for file in self.senders.files:
            file.grow(self.rng, whole)
        times = [self.rng.choice((0, 0.02, self.rng.uniform(0, 1.5))) for _ in range(kills)]
        killer = threading.Thread(target=self.kill_meanwhile, args=(times,))
        killer.start()
        try:
            self.senders.send()
        finally:
            killer.join()

    def unmerged(self, extra):
        """Files of which not all complete rows are booked, or others; extra: those beyond, by number."""
        return ["%s: %d rows are booked, not %d" % (file.name, self.ledger.rows[file.name], file.rows)
                for file in self.senders.files
                if self.ledger.rows[file.name] != file.rows + len(extra.get(file.number, []))
                and not (file.cut and file.way != "open" and self.ledger.rows[file.name] == 0)]

    def merged(self, extra):
        """Waits until they are booked; what is wrong then."""
        end = time.monotonic() + PATIENCE
        self.ledger.update()
        while self.unmerged(extra) and time.monotonic() < end and self.site.running["daemon"].poll() is None:
            time.sleep(0.1)
            self.ledger.update()
        wrong = self.site.troubles + self.unmerged(extra)
        if self.ledger.verdicts["quarantined"]:
            wrong.append("%d files went to quarantine" % self.ledger.verdicts["quarantined"])
        return wrong

    def wanted(self):
        return sum(file.rows for file in self.senders.files)

    def standing(self):
        """The first cells of each file's rows, in the order in which they stand in the training file."""
        rows = collections.defaultdict(list)
        with open(os.path.join(self.site.data, "training_data.csv"), "rb") as file:
            next(file)
            for line in file:
                cells = line.split(b",")
                rows[int(cells[4])].append(int(cells[0]))
        return rows

    def misplaced(self, extra):
        """Files whose rows do not stand once and in order; extra: first cells that come behind, by number."""
        standing = self.standing()
        return ["%s: %s instead of 0 to %d and %s" % (file.name, standing[file.number], file.rows - 1,
                                                      extra.get(file.number))
                for file in self.senders.files
                if standing[file.number] != list(range(file.rows)) + extra.get(file.number, [])]

    def rewrite(self):
        """Of each way that copies one file loses its first row, and one is another from its first row on."""
        extra, names = {}, []
        for way in ("rsync", "inplace", "scp", "cp"):
            shorter, other = self.senders.by_way(way)[:2]
            lines = shorter.content.splitlines(True)
            extra[shorter.number] = list(range(1, shorter.rows))
            shorter.content = lines[0] + b"".join(lines[2:])
            extra[other.number] = [1000000, 1000001]
            other.content = lines[0] + other.row(1000000) + other.row(1000001)
            names += [shorter.name, other.name]
        self.senders.send()
        return extra, names

    def ends_changed(self, names):
        """Waits until these files are judged; what is wrong then."""
        end, wrong = time.monotonic() + PATIENCE, []
        quarantine = os.path.join(self.site.data, "quarantine")
        while time.monotonic() < end:
            wrong = [name for name in names if not os.path.exists(os.path.join(quarantine, name + ".errors.csv"))
                     or os.path.exists(os.path.join(self.site.drop, name))]
            if not wrong:
                break
            time.sleep(0.1)
        for name in set(names) - set(wrong):
            with open(os.path.join(quarantine, name + ".errors.csv"), encoding="utf-8") as file:
                if "changed-file" not in file.read():
                    wrong.append(name + ": not for changed-file")
        return ["not in quarantine: " + name for name in wrong]

    def stop(self):
        self.site.running["daemon"].terminate()
        self.site.ended("daemon")
        return self.site.troubles

    def check(self):
        checker = subprocess.run([sys.executable, os.path.join(TESTS, "checker.py"), self.site.data, "--recursive",
                                  "--schema", os.path.join(self.site.top, "schema.ini")],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return checker.stdout.splitlines() if checker.returncode else []

    def go(self, rounds, kills, report):
        self.site.start("daemon")
        for number in range(1, rounds + 1):
            cut = [file for file in self.senders.files if file.cut and file.way != "open"]
            if number == rounds:
                served = sum(self.ledger.rows[file.name] > 0 for file in cut)
                report("of files that were cut in a row each time, some are merged", [] if served else ["none is"])
                print("# cut in a row each time: %d files, %d of them with rows merged" % (len(cut), served))
            self.round(kills * number // rounds - kills * (number - 1) // rounds, number == rounds)
            wrong = self.merged({})
            if wrong or number % 10 == 0 or number == rounds:
                report("round %d: all complete rows are merged, and no other one" % number, wrong)
            if wrong:
                return
        report("%d files: each of %d rows stands once and in order" % (len(self.senders.files), self.wanted()),
               self.misplaced({}))
        extra, names = self.rewrite()
        if self.changed == "merge":
            wrong = self.merged(extra)
            report("files that were cut or have other rows now are merged", wrong)
            report("behind their former rows", self.misplaced(extra))
        else:
            report("files that were cut or have other rows now are changed-file", self.ends_changed(names))
            report("and nothing of them is merged", self.misplaced({}))
        self.senders.close()
        report("the daemon ends well", self.stop())
        report("the checker finds nothing", self.check())

    def close(self):
        self.senders.close()
        self.site.close()


def spent(pid):
    """Bytes that a process has read, and its seconds of processor time."""
    with open("/proc/%d/io" % pid, encoding="ascii") as file:
        read = int(file.read().split("rchar: ")[1].split()[0])
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        cells = file.read().rsplit(")", 1)[1].split()
    return read, (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


def measure(top, options, report):
    """What one row more costs where 10 MB are known."""
    run = Run(top, argparse.Namespace(**{**vars(options), "files": 1}), "quarantine")
    file = run.senders.files[0]
    file.cut = False
    rows = [file.row(number) for number in range(10000000 // len(file.row(1000000)))]
    path = os.path.join(run.site.drop, file.name)
    try:
        run.site.start("daemon")
        pid, told = run.site.running["daemon"].pid, []
        for piece in [METRICS.encode() + b"\n" + b"".join(rows)] + [file.row(1000000 + more) for more in range(10)]:
            before = spent(pid)
            with open(path, "ab") as out:
                out.write(piece)
            file.rows += piece.count(b"\n") - (not told)
            wrong = run.merged({})
            told.append([after - now for after, now in zip(spent(pid), before)])
            if wrong:
                break
        report("a row more, ten times, behind %d rows: merged" % len(rows), wrong)
        print("# a file of %d bytes: %d bytes read, %.2f s of processor time; a row more: %d bytes, %.3f s" %
              (os.path.getsize(path), *told[0], sum(read for read, _ in told[1:]) / len(told[1:]),
               sum(seconds for _, seconds in told[1:]) / len(told[1:])))
        report("the daemon ends well", run.stop())
    except PermissionError as error:
        print("# what the daemon reads is not told: %s" % error)
    finally:
        run.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 9))
    parser.add_argument("--build", default=os.path.join(TESTS, "..", "build"))
    parser.add_argument("--scp", help="the command and its options")
    parser.add_argument("--host", help="where it finds this machine")
    parser.add_argument("--keep", action="store_true", help="keep the directory when something failed")
    options = parser.parse_args()
    report, top = Report(), tempfile.mkdtemp(prefix="growing.")
    print("# seed %d" % options.seed, flush=True)
    runs = []
    try:
        began = time.monotonic()
        runs.append(Run(os.path.join(top, "quarantine"), options, "quarantine"))
        runs[0].go(options.rounds, options.kills, report)
        print("# %d files, %d rounds, %d kills, %d rows, %d s" %
              (options.files, options.rounds, runs[0].kills, runs[0].wanted(), time.monotonic() - began), flush=True)
        few = argparse.Namespace(**{**vars(options), "files": 14})
        runs.append(Run(os.path.join(top, "merge"), few, "merge"))
        runs[1].go(3, 1, report)
        measure(os.path.join(top, "large"), options, report)
    finally:
        for run in runs:
            run.close()
        if report.failures and options.keep:
            print("# kept: %s" % top)
        else:
            shutil.rmtree(top)
    print("1..%d" % report.count)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
