#!/usr/bin/env python3
"""Kills the programs at random moments, and looks whether every row is there once.

    tests/stress/kill.py [--kills N] [--seed S] [--build DIR] [--keep]

A feeder drops files without pause: good and bad ones, with and without metadata in the name, by rename and by plain
writing, grown, sent again, corrected, at the top and in directories that are new or not. Meanwhile the daemon and
`phasesentinel merge` are started and killed (SIGKILL) at random, a few milliseconds after their start or while they
work, alone or both at a time. After every 50 kills the feeder rests, one clean run (the daemon and SIGTERM, or
`merge`) comes to an end, and then must hold, whatever the ledger says: each row of each good file stands in the
training file once, no row of a bad file does, each bad file is in quarantine; and tests/checker.py must find nothing.

Every row has a number of its own in its first cell, so that it is known again. Prints TAP; the seed makes the feeder's
and the killer's choices the same again, though not their timing.
"""
import argparse
import collections
import csv
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
METRICS = ("timestamp,cpu_percent,memory_percent,memory_used_gb,disk_read_mb,disk_write_mb,network_sent_mb,"
           "network_recv_mb,phase")
OWN = ",user_id,source,label"
ACCEPTED = ("merged", "grown", "duplicate")
ODD_NAMES = ("with space %d.csv", "comma,%d.csv", "ümlaut%d.CSV", 'quote"%d.csv', "-dash%d.csv", "line\nbreak%d.csv")
ROUND = 50    # kills between two rests
PATIENCE = 120  # seconds for a clean run


class File:
    """What was sent last under a name."""

    def __init__(self, name, own):
        self.name, self.own = name, own  # own: its rows bring their metadata
        self.good, self.bad = [], []     # row numbers
        self.content = b""
        self.versions = 0                # contents sent
        self.copied = False              # a copy went out under another name; from then on it stays as it is


class Feeder:
    """Drops files until told to stop; remembers what it sent."""

    def __init__(self, drop, sent, rng):
        self.drop, self.sent, self.rng = drop, sent, rng
        self.files, self.count, self.row, self.sendings = [], 0, 0, 0
        self.copies = {}  # names under which a content was sent a second time, with the content
        self.thread, self.stopping, self.troubles = None, threading.Event(), []

    def start(self):
        self.stopping.clear()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def run(self):
        steps = (self.new_good, self.new_good, self.new_bad, self.grow, self.grow, self.grow_badly, self.send_again,
                 self.send_copy, self.correct, self.open_only, self.open_only)
        try:
            while not self.stopping.wait(self.rng.choice((0, 0.002, 0.01, 0.03))):
                self.rng.choice(steps)()
        except OSError as error:
            self.troubles.append("the feeder failed: %s" % error)

    # What is sent.

    def rows(self, file, count, bad=False):
        text = ""
        for _ in range(count):
            self.row += 1
            (file.bad if bad else file.good).append(self.row)
            text += "%d,%s,20.5,1e0,0,0,0,0,%s" % (self.row, "101" if bad else "99.9", "idle")
            text += ',"user_%d",web,odd\n' % (self.row % 3) if file.own else "\n"
        return text.encode()

    def new_file(self):
        self.count += 1
        own = self.rng.random() < 0.3
        if own or self.rng.random() < 0.3:
            name = self.rng.choice(ODD_NAMES) % self.count
        else:
            stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(1700000000 + self.count))
            name = "user_%d_%s_%s.csv" % (self.count % 7, self.rng.choice(("web", "external")), stamp)
        directory = self.rng.choice(("", "", "alice/", "bob/2024/", "new %d/" % (self.count // 5)))
        file = File(directory + name, own)
        file.content = (METRICS + (OWN if own else "") + "\n").encode()
        self.files.append(file)
        return file

    def new_good(self):
        file = self.new_file()
        file.content += self.rows(file, 3000 if self.rng.random() < 0.02 else self.rng.choice((1, 5, 50)))
        self.send(file)

    def new_bad(self):
        file = self.new_file()  # the bad row comes first: no beginning of the file is a good file
        file.content += self.rows(file, 1, bad=True) + self.rows(File("", file.own), self.rng.choice((1, 100)))
        self.send(file)

    def pick(self, bad, copied=False):
        files = [file for file in self.files[-200:] if bool(file.bad) == bad and file.copied <= copied]
        return self.rng.choice(files) if files else None

    def grow(self):
        file = self.pick(bad=False)
        if file:
            more = self.rows(file, self.rng.choice((1, 5, 100)))
            file.content += more
            self.send(file, more)

    def grow_badly(self):
        file = self.pick(bad=False)
        if file and self.rng.random() < 0.3:
            file.content += self.rows(file, 1, bad=True)
            self.send(file)

    def send_again(self):
        file = self.pick(bad=self.rng.random() < 0.5, copied=True)
        if file:
            file.versions -= 1
            self.send(file)

    def send_copy(self):
        """The same content and metadata under another name: a duplicate; of a file that has and will have no other."""
        file = self.pick(bad=False, copied=True)
        if file and file.own and file.versions == 1:
            file.copied = True
            self.count += 1
            name = "copy %d.csv" % self.count
            self.copies[name] = file.content
            self.put(name, file.content)

    def correct(self):
        file = self.pick(bad=True)
        if file:
            begun = file.content.split(b"\n")[:len(file.good) + 1]
            file.content = b"\n".join(begun) + b"\n"
            file.bad = []
            file.content += self.rows(file, 3)
            self.send(file)

    def open_only(self):
        """An event without a change: opened for writing, and closed as it was. Of old files too."""
        if self.files:
            try:
                with open(os.path.join(self.drop, self.rng.choice(self.files).name), "r+b"):
                    pass
            except FileNotFoundError:
                pass  # in quarantine

    # How it is sent.

    def send(self, file, more=None):
        self.sendings += 1
        file.versions += 1
        with open(os.path.join(self.sent, "%06d" % self.sendings), "wb") as copy:
            copy.write(file.content)
        path = os.path.join(self.drop, file.name)
        if more and os.path.exists(path) and os.path.getsize(path) + len(more) == len(file.content) and \
                self.rng.random() < 0.5:
            self.write(path, more, "ab")
        else:
            self.put(file.name, file.content)

    def put(self, name, content):
        path = os.path.join(self.drop, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if self.rng.random() < 0.6 or os.path.exists(path):
            temporary = os.path.join(self.drop, ".upload")
            self.write(temporary, content, "wb")
            os.rename(temporary, path)
        else:
            self.write(path, content, "wb")

    def write(self, path, content, mode):
        with open(path, mode, buffering=0) as out:
            cuts = sorted(self.rng.randrange(len(content)) for _ in range(self.rng.choice((0, 0, 1, 3))))
            for start, end in zip([0] + cuts, cuts + [len(content)]):
                out.write(content[start:end])
                if end < len(content):
                    time.sleep(self.rng.choice((0, 0.001, 0.01)))


class Site:
    """A data directory, its configuration, and the two programs on it."""

    def __init__(self, top, build):
        self.top, self.data = top, os.path.join(top, "data")
        self.drop, self.sent = os.path.join(self.data, "user_data"), os.path.join(top, "sent")
        self.ini, self.log = os.path.join(top, "phasesentinel.ini"), open(os.path.join(top, "log"), "ab")
        os.makedirs(self.drop)
        os.mkdir(self.sent)
        shutil.copy(os.path.join(TESTS, "..", "etc", "schema.ini"), os.path.join(top, "schema.ini"))
        with open(self.ini, "w", encoding="ascii") as out:
            out.write("[paths]\ndata_dir = data\nschema = schema.ini\n[watch]\nsettle = 1\nrecursive = yes\n")
        common = ["-c", self.ini] + (["--allow-root"] if os.geteuid() == 0 else [])
        self.commands = {"daemon": [os.path.join(build, "phasesentineld"), *common],
                         "merge": [os.path.join(build, "phasesentinel"), *common, "merge"]}
        self.running = {}
        self.troubles = []

    def start(self, which):
        self.log.write(b"--- %s\n" % which.encode())
        self.log.flush()
        self.running[which] = subprocess.Popen(self.commands[which], stdin=subprocess.DEVNULL, stdout=self.log,
                                               stderr=self.log)

    def ended(self, which):
        """Waits for its end and takes the exit code; only what a clean end may give is no trouble."""
        code = self.running.pop(which).wait(PATIENCE)
        if code not in ((0,) if which == "daemon" else (0, 1, 75)):
            self.troubles.append("%s ended with %d" % (which, code))

    def kill(self, which):
        """True if it was still alive."""
        process = self.running[which]
        if process.poll() is not None:
            if which == "daemon":
                self.troubles.append("the daemon ended by itself, with %d" % process.returncode)
            self.ended(which)
            return False
        process.kill()
        process.wait()
        del self.running[which]
        return True

    def close(self):
        for which in list(self.running):
            self.kill(which)
        self.log.close()

    def ledger(self):
        """What has been booked: (name, sha256) and its last verdict; the last, perhaps half written line left out."""
        verdicts = {}
        path = os.path.join(self.data, "state", "ledger.csv")
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                for line in file.read().split("\n")[1:-1]:
                    cells = line.split(",")
                    verdicts[cells[4], cells[6]] = cells[3]
        return verdicts

    def unjudged(self, feeder):
        """What a clean run has not brought to its end."""
        verdicts, left = self.ledger(), []
        for name, content, bad in ([(file.name, file.content, file.bad) for file in feeder.files] +
                                   [(name, content, []) for name, content in feeder.copies.items()]):
            verdict = verdicts.get((escape(name), hashlib.sha256(content).hexdigest()))
            if bad and (verdict != "quarantined" or os.path.exists(os.path.join(self.drop, name))):
                left.append("%r should be in quarantine, verdict %s" % (name, verdict))
            elif not bad and verdict not in ACCEPTED:
                left.append("%r should be accepted, verdict %s" % (name, verdict))
        return left

    def numbers(self):
        """How often each row number stands in the training file."""
        if not os.path.exists(os.path.join(self.data, "training_data.csv")):
            return collections.Counter()
        with open(os.path.join(self.data, "training_data.csv"), encoding="utf-8", newline="") as file:
            return collections.Counter(row[0] for row in list(csv.reader(file, strict=True))[1:])


def escape(name):
    return "".join(chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "._~-/")
                   else "%%%02X" % byte for byte in os.fsencode(name))


def kill_about(site, rng, kills):
    """Starts and kills at random, so many times; how many of them hit."""
    hits = 0
    for _ in range(kills):
        which = rng.choice(("daemon", "daemon", "merge"))
        if which not in site.running:
            site.start(which)
        if rng.random() < 0.3 and len(site.running) < 2:
            site.start("merge" if which == "daemon" else "daemon")
        time.sleep(rng.choice((rng.uniform(0, 0.03), rng.uniform(0, 0.03), rng.uniform(0, 0.4))))
        both = rng.random() < 0.2
        for victim in list(site.running) if both else [which]:
            hits += site.kill(victim)
    for which in list(site.running):
        hits += site.kill(which)
    return hits


def come_to_rest(site, feeder, way):
    """One clean run; what is then not judged."""
    site.start(way)
    if way == "daemon":
        end = time.monotonic() + PATIENCE
        while site.unjudged(feeder) and time.monotonic() < end and site.running[way].poll() is None:
            time.sleep(0.1)
        site.running[way].terminate()
    site.ended(way)
    return site.unjudged(feeder)


def misplaced(site, feeder):
    """Rows missing, doubled or uninvited, whatever the ledger says."""
    there = site.numbers()
    allowed = {"%d" % number for file in feeder.files for number in file.good}
    # Of a file that is bad now, an earlier, good version may have been seen, or not.
    wanted = {"%d" % number for file in feeder.files if not file.bad for number in file.good}
    return (["row %s is missing" % number for number in wanted - there.keys()] +
            ["row %s was never part of a good file" % number for number in there.keys() - allowed] +
            ["row %s stands there %d times" % pair for pair in there.items() if pair[1] > 1])


class Report:
    def __init__(self):
        self.count = self.failures = 0

    def __call__(self, text, wrong):
        self.count += 1
        self.failures += bool(wrong)
        print("%s %d - %s" % ("not ok" if wrong else "ok", self.count, text), flush=True)
        for line in wrong[:10]:
            print("#   " + line.replace("\n", "\n#   "))
        if len(wrong) > 10:
            print("#   and %d more" % (len(wrong) - 10))


def run_round(site, feeder, rng, kills, way, report):
    feeder.start()
    try:
        hits = kill_about(site, rng, kills)
    finally:
        feeder.stop()
    report("%d kills while %d files were sent: no other end" % (hits, feeder.sendings), site.troubles + feeder.troubles)
    site.troubles = []
    report("then everything is judged by one clean run (%s)" % way, come_to_rest(site, feeder, way) + site.troubles)
    site.troubles = []
    report("of %d rows each good one is there once, no bad one" % feeder.row, misplaced(site, feeder))
    checker = subprocess.run([sys.executable, os.path.join(TESTS, "checker.py"), site.data, "--sent", site.sent,
                              "--unique", "--recursive", "--schema", os.path.join(site.top, "schema.ini")],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    report("the checker finds nothing", checker.stdout.splitlines() if checker.returncode else [])
    return hits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 9))
    parser.add_argument("--build", default=os.path.join(TESTS, "..", "build"))
    parser.add_argument("--keep", action="store_true", help="keep the directory when something failed")
    options = parser.parse_args()
    rng, report, hits, rounds = random.Random(options.seed), Report(), 0, 0
    print("# seed %d" % options.seed, flush=True)
    top = tempfile.mkdtemp(prefix="kill.")
    site = Site(top, options.build)
    feeder = Feeder(site.drop, site.sent, random.Random(options.seed + 1))
    try:
        while hits < options.kills and not report.failures:
            way = "daemon" if rounds % 2 == 0 else "merge"
            hits += run_round(site, feeder, rng, min(ROUND, options.kills - hits), way, report)
            rounds += 1
    finally:
        site.close()
        if report.failures and options.keep:
            print("# kept: %s" % top)
        else:
            shutil.rmtree(top)
    print("# %d kills, %d files under %d names, %d rows" % (hits, feeder.sendings, len(feeder.files), feeder.row))
    print("1..%d" % report.count)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
