#!/usr/bin/env python3
"""Measures the collector against cat, in one run, on files like those of real collectors.

usage: tests/bench.py [--files N] [--tiny N] [--rounds N] [--only WORD]

Each work is done alternately by `cat FILES > out && sync out` and by `phasesentinel merge`, so that a noisy machine is noisy
for both; medians and the spread are printed. Nothing here asserts a time.
"""
import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(TOP, "build"))
ROOT = ["--allow-root"] if os.geteuid() == 0 else []
METRICS = ("timestamp,cpu_percent,memory_percent,memory_used_gb,disk_read_mb,disk_write_mb,"
           "network_sent_mb,network_recv_mb,phase")
PHASES = ("cpu_bound", "io_bound", "memory_bound", "idle", "mixed")


def rows(count, number, extra):
    r = random.Random(number)
    return [
        f"{i * 0.5:.1f},{r.uniform(0, 100):.2f},{r.uniform(0, 100):.2f},{r.uniform(0, 16):.3f},{r.uniform(0, 200):.2f},"
        f"{r.uniform(0, 90):.2f},{r.uniform(0, 12):.3f},{r.uniform(0, 12):.3f},{PHASES[r.randrange(5)]}{extra}"
        for i in range(count)
    ]


def full(number, count):
    user = f"user_{number % 50:03d}"
    return METRICS + ",user_id,source,label", rows(count, number, f",{user},external,normal")


def metrics_only(number, count):
    return METRICS, rows(count, number, "")


def other_order(number, count):
    head, lines = full(number, count)
    swap = lambda line: ",".join(reversed(line.split(",")))
    return swap(head), [swap(line) for line in lines]


def quoted(number, count):
    head, lines = full(number, count)
    quote = lambda line: ",".join(f'"{cell}"' for cell in line.split(","))
    return quote(head), [quote(line) for line in lines]


def some_bad(number, count):
    head, lines = full(number, count)
    if number % 20 == 0:
        lines[count // 2] = lines[count // 2].replace(",", ",x", 1)
    return head, lines


def generate(directory, files, count, shape, end="\n"):
    os.makedirs(directory)
    for number in range(files):
        head, lines = shape(number, count)
        name = f"user_{number % 50:03d}_external_2024{1 + number // 28 % 12:02d}{1 + number % 28:02d}_{number:06d}.csv"
        with open(os.path.join(directory, name), "w", encoding="ascii", newline="") as out:
            out.write(end.join([head] + lines) + end)


def timed(command, **options):
    start = time.monotonic()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, **options)
    return time.monotonic() - start


class Place:
    """A data directory with a configuration of its own."""

    def __init__(self, base, **keys):
        self.path = tempfile.mkdtemp(dir=base)
        self.data = os.path.join(self.path, "data")
        self.config = os.path.join(self.path, "phasesentinel.ini")
        os.makedirs(os.path.join(self.data, "user_data"))
        with open(self.config, "w", encoding="ascii") as out:
            out.write(f"[paths]\ndata_dir = {self.data}\nschema = {TOP}/etc/schema.ini\n[watch]\n")
            out.write("".join(f"{key} = {value}\n" for key, value in keys.items()))

    def fill(self, source):
        for name in os.listdir(source):
            os.link(os.path.join(source, name), os.path.join(self.data, "user_data", name))

    def merge(self):
        return timed([f"{BUILD}/phasesentinel", "merge", *ROOT, "-c", self.config])

    def remove(self):
        shutil.rmtree(self.path)


def show(work, cat, ours, goal):
    ratio = statistics.median(ours) / statistics.median(cat)
    print(f"{work:34} cat {statistics.median(cat):7.3f} s  merge {statistics.median(ours):7.3f} s "
          f"({min(ours):.3f}..{max(ours):.3f})  ratio {ratio:6.2f}  goal {goal}", flush=True)


def against_cat(base, work, source, rounds, goal, settle=5):
    cat, ours = [], []
    for _ in range(rounds):
        out = os.path.join(base, "out")
        cat.append(timed(["sh", "-c", f"find {source} -type f -print0 | xargs -0 cat >{out} && sync {out}"]))
        os.unlink(out)
        place = Place(base, settle=settle)
        place.fill(source)
        subprocess.run(["sync", "-f", place.data], check=False)
        ours.append(place.merge())
        place.remove()
    show(work, cat, ours, goal)


def start_daemon(place):
    log = open(os.path.join(place.path, "log"), "w", encoding="ascii")
    daemon = subprocess.Popen([f"{BUILD}/phasesentineld", *ROOT, "-c", place.config], stderr=log)
    while "watching" not in open(os.path.join(place.path, "log"), encoding="ascii").read():
        time.sleep(0.01)
    return daemon


def latency(base, count):
    """From rename to the ledger line: until the line is there and the lock's mark, cleared after its sync, is gone."""
    place = Place(base)
    daemon = start_daemon(place)
    ledger, lock = os.path.join(place.data, "state/ledger.csv"), os.path.join(place.data, "state/lock")
    times = []
    for number in range(count):
        head, lines = full(number, 10)
        hidden = os.path.join(place.data, "user_data", ".hidden")
        with open(hidden, "w", encoding="ascii") as out:
            out.write("\n".join([head] + lines) + "\n")
        time.sleep(0.02)
        size = os.stat(ledger).st_size
        start = time.monotonic()
        os.rename(hidden, os.path.join(place.data, "user_data", f"l{number}.csv"))
        while os.stat(ledger).st_size == size or os.stat(lock).st_size > 0:
            pass
        times.append((time.monotonic() - start) * 1000)
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    place.remove()
    times.sort()
    print(f"{'rename to durable line, idle':34} median {statistics.median(times):.2f} ms  "
          f"99th percentile {times[int(len(times) * 0.99)]:.2f} ms  goal 1 and 5", flush=True)


def growth(base, rounds):
    """One file into a large training file, against an empty one."""
    times = {}
    for mib in (0, 1024):
        place = Place(base)
        if mib > 0:
            head, lines = full(1, 20000)
            block = ("\n".join(line + "," for line in lines) + "\n").encode()
            with open(os.path.join(place.data, "training_data.csv"), "wb") as out:
                out.write((head + ",collection_timestamp\n").encode())
                for _ in range(mib * (1 << 20) // len(block)):
                    out.write(block)
        place.merge()
        taken = []
        for number in range(rounds * 5):
            generate(os.path.join(base, "one"), 1, 100, lambda n, c, k=number: full(1000 + k, c))
            os.rename(os.path.join(base, "one", os.listdir(os.path.join(base, "one"))[0]),
                      os.path.join(place.data, "user_data", f"g{number}.csv"))
            shutil.rmtree(os.path.join(base, "one"))
            taken.append(place.merge())
        times[mib] = statistics.median(taken)
        place.remove()
    print(f"{'one file into 1 GiB, into nothing':34} {times[1024] * 1000:.2f} ms, {times[0] * 1000:.2f} ms  "
          f"ratio {times[1024] / times[0]:.2f}  goal 1.05", flush=True)


def memory(base, mib):
    """The largest resident set while one large file is merged, and of the idle daemon."""
    place = Place(base)
    head, lines = full(1, 20000)
    block = "\n".join(lines) + "\n"
    with open(os.path.join(place.data, "user_data", "large.csv"), "w", encoding="ascii") as out:
        out.write(head + "\n")
        for _ in range(mib * (1 << 20) // len(block)):
            out.write(block)
    result = subprocess.run(["/usr/bin/env", "python3", "-c",
                             "import resource,subprocess,sys;subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL);"
                             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
                             f"{BUILD}/phasesentinel", "merge", *ROOT, "-c", place.config],
                            check=False, capture_output=True, text=True)
    daemon = start_daemon(place)
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
        idle = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    place.remove()
    print(f"{'memory, idle / a %d MiB file' % mib:34} {idle / 1024:.1f} MB / {int(result.stdout) / 1024:.1f} MB  "
          "goal 8 and 32", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--tiny", type=int, default=50000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    base = tempfile.mkdtemp(prefix="phasesentinel-bench.", dir=os.environ.get("TMPDIR", "/tmp"))
    works = [
        ("full rows, 12 columns", options.files, 3000, full, "\n", "1.5"),
        ("metadata from the name", options.files, 3000, metrics_only, "\n", "-"),
        ("columns in another order", options.files, 3000, other_order, "\n", "-"),
        ("CRLF", options.files, 3000, full, "\r\n", "-"),
        ("every cell quoted", options.files, 3000, quoted, "\n", "-"),
        ("5 % of the files bad (settle = 0)", options.files, 3000, some_bad, "\n", "-"),
        ("one large file", 1, options.files * 3000, full, "\n", "-"),
        ("tiny files, 10 rows", options.tiny, 10, full, "\n", "2"),
    ]
    try:
        for work, files, count, shape, end, goal in works:
            if options.only not in work:
                continue
            source = os.path.join(base, "source")
            generate(source, files, count, shape, end)
            against_cat(base, work, source, options.rounds, goal, 0 if "bad" in work else 5)
            shutil.rmtree(source)
        if options.only in "latency":
            latency(base, 300)
        if options.only in "growth":
            growth(base, options.rounds)
        if options.only in "memory":
            memory(base, 1024)
    finally:
        shutil.rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
