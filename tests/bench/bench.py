#!/usr/bin/env python3
"""Measures the collector against cat, in one run, on files like those of real collectors.

usage: tests/bench/bench.py [--files N] [--tiny N] [--large MIB] [--grown MIB] [--known N] [--rate N] [--seconds N] [--rounds N]
                      [--only WORD]

Each work is done alternately by `cat FILES > out && sync out` and by `phasesentinel merge`, so that a noisy machine is noisy
for both; the files are read once before each, so that both find them in memory. A line is a work, what was reached, the
goal where there is one, and medians with their spread. Nothing here asserts a time.
"""
import argparse
import ctypes
import json
import mmap
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
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
        time_of_day = f"{number // 3600 % 24:02d}{number // 60 % 60:02d}{number % 60:02d}"
        name = f"user_{number % 50:03d}_external_2024{1 + number // 28 % 12:02d}{1 + number % 28:02d}_{time_of_day}.csv"
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

    def rows(self):
        with open(os.path.join(self.data, "stats/stats.json"), encoding="ascii") as stats:
            return json.load(stats)["main_training_samples"]

    def remove(self):
        shutil.rmtree(self.path)


def show(work, reached, goal, *more):
    """A line of the table; what more there is to say stands below."""
    print(f"{work:36} {reached:24} goal {goal:13} {more[0] if more else ''}".rstrip(), flush=True)
    for line in more[1:]:
        print(f"{'':80} {line}", flush=True)


def spread(times):
    return f"{statistics.median(times):.3f} s ({min(times):.3f}..{max(times):.3f})"


def write_rows(path, mib, end):
    """A large file: the same rows again and again, each with `end` behind it. Returns how many."""
    head, lines = full(1, 20000)
    block = "".join(f"{line}{end}\n" for line in lines).encode()
    with open(path, "wb") as out:
        out.write(f"{head}{',collection_timestamp' if end else ''}\n".encode())
        blocks = mib * (1 << 20) // len(block)
        for _ in range(blocks):
            out.write(block)
    return blocks * len(lines)


def against_cat(base, work, source, rows, rounds, goal, settle=5):
    cat, ours = [], []
    for _ in range(rounds):
        out = os.path.join(base, "out")
        warm = ["sh", "-c", f"find {source} -type f -print0 | xargs -0 cat >/dev/null"]
        subprocess.run(warm, check=False)
        cat.append(timed(["sh", "-c", f"find {source} -type f -print0 | xargs -0 cat >{out} && sync {out}"]))
        os.unlink(out)
        place = Place(base, settle=settle)
        place.fill(source)
        subprocess.run(["sync", "-f", place.data], check=False)
        subprocess.run(warm, check=False)
        ours.append(place.merge())
        if place.rows() != rows:
            sys.exit(f"{work}: {place.rows()} rows were merged, of {rows}")
        place.remove()
    show(work, f"{statistics.median(ours) / statistics.median(cat):.2f} times cat", goal, f"cat {spread(cat)}  merge {spread(ours)}")


def start_daemon(place):
    log = open(os.path.join(place.path, "log"), "w", encoding="ascii")
    daemon = subprocess.Popen([f"{BUILD}/phasesentineld", *ROOT, "-c", place.config], stderr=log)
    while "watching" not in open(os.path.join(place.path, "log"), encoding="ascii").read():
        time.sleep(0.01)
    return daemon


class Floor:
    """What the disk alone takes: a row's worth of bytes appended and synced, then a line's worth in another file."""

    def __init__(self, directory):
        self.files = [os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("rows", "lines")]

    def measure(self):
        start = time.monotonic()
        for file, size in zip(self.files, (700, 200)):
            os.write(file, b"x" * size)
            os.fdatasync(file)
        return (time.monotonic() - start) * 1000

    def close(self):
        for file in self.files:
            os.close(file)


class Changes:
    """Tells when something was written to one of these files, or one of them was cut (inotify)."""

    def __init__(self, *paths):
        libc = ctypes.CDLL(None, use_errno=True)
        self.file = libc.inotify_init()
        for path in paths:
            if libc.inotify_add_watch(self.file, path.encode(), 0x2) < 0:  # IN_MODIFY
                raise OSError(ctypes.get_errno(), path)

    def wait(self):
        os.read(self.file, 65536)

    def close(self):
        os.close(self.file)


def latency(base, count):
    """From rename to the ledger line: until the line is there and the lock's mark, cleared after its sync, is gone.
    Right before each, what two bare syncs take. The daemon is idle: it has written the statistics of the last one."""
    place = Place(base)
    daemon = start_daemon(place)
    ledger, lock = os.path.join(place.data, "state/ledger.csv"), os.path.join(place.data, "state/lock")
    last, prometheus = 0, os.path.join(place.data, "stats/phasesentinel.prom")
    bare = Floor(place.path)
    changes = Changes(ledger, lock)
    times, floor = [], []
    for number in range(count):
        head, lines = full(number, 10)
        hidden = os.path.join(place.data, "user_data", ".hidden")
        with open(hidden, "w", encoding="ascii") as out:
            out.write("\n".join([head] + lines) + "\n")
        while number > 0 and (not os.path.exists(prometheus) or os.stat(prometheus).st_mtime_ns < last):
            time.sleep(0.01)
        time.sleep(0.02)
        floor.append(bare.measure())
        time.sleep(0.02)
        size = os.stat(ledger).st_size
        start = time.monotonic()
        os.rename(hidden, os.path.join(place.data, "user_data", f"l{number}.csv"))
        while os.stat(ledger).st_size == size or os.stat(lock).st_size > 0:
            changes.wait()  # to spin would take a processor from those who work, and triple the time
        times.append((time.monotonic() - start) * 1000)
        last = time.time_ns()
    bare.close()
    changes.close()
    stop(daemon)
    place.remove()
    show("rename to durable line, idle", medians(times), "1 and 5 ms", percentiles(times),
         f"two bare fdatasyncs: {percentiles(floor)}")


def growth(base, mib, rounds):
    """One file into a large training file, against an empty one, by turns."""
    places = Place(base), Place(base)
    write_rows(os.path.join(places[1].data, "training_data.csv"), mib, ",")
    for place in places:
        place.merge()
    subprocess.run(["sync", "-f", base], check=False)
    times = [], []
    for number in range(rounds * 5):
        for place, taken in zip(places, times):
            generate(os.path.join(base, "one"), 1, 100, lambda n, c, k=number: full(1000 + k, c))
            os.rename(os.path.join(base, "one", os.listdir(os.path.join(base, "one"))[0]),
                      os.path.join(place.data, "user_data", f"g{number}.csv"))
            shutil.rmtree(os.path.join(base, "one"))
            taken.append(place.merge())
    for place in places:
        place.remove()
    show(f"one file into {mib} MiB, into nothing", f"ratio {statistics.median(times[1]) / statistics.median(times[0]):.2f}", "1.05",
         f"{spread(times[1])}, {spread(times[0])}")


def system_calls(base, count):
    """Of one merge of tiny files, all threads together, by strace."""
    place = Place(base)
    generate(os.path.join(base, "source"), count, 10, full)
    place.fill(os.path.join(base, "source"))
    shutil.rmtree(os.path.join(base, "source"))
    table = os.path.join(place.path, "calls")
    if shutil.which("strace"):
        timed(["strace", "-f", "-c", "-U", "calls,name", "-o", table, f"{BUILD}/phasesentinel", "merge", *ROOT, "-c", place.config])
        with open(table, encoding="ascii") as lines:
            calls = {line.split()[1]: int(line.split()[0]) for line in lines if line.split()[0].isdigit()}
        total, waits = calls.pop("total"), calls.pop("futex", 0)
        show(f"system calls: {count} tiny files", f"{(total - waits) / count:.1f} a file", "10",
             f"and {waits / count:.1f} of futex, which grow with strace; {total} in all")
    place.remove()


def memory(base, mib):
    """The largest resident set while one large file is merged, and of the idle daemon that has merged others."""
    place = Place(base)
    write_rows(os.path.join(place.data, "user_data", "large.csv"), mib, "")
    result = subprocess.run(["/usr/bin/env", "python3", "-c",
                             "import resource,subprocess,sys;subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL);"
                             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
                             f"{BUILD}/phasesentinel", "merge", *ROOT, "-c", place.config],
                            check=False, capture_output=True, text=True)
    place.remove()
    place = Place(base)
    daemon = start_daemon(place)
    fresh = resident(daemon.pid)[0]
    generate(os.path.join(base, "source"), 300, 3000, full)
    place.fill(os.path.join(base, "source"))
    shutil.rmtree(os.path.join(base, "source"))
    prometheus = os.path.join(place.data, "stats/phasesentinel.prom")
    while not os.path.exists(prometheus) or place.rows() < 300 * 3000:
        time.sleep(0.1)
    after = resident(daemon.pid)
    stop(daemon)
    place.remove()
    show(f"memory, idle / a {mib} MiB file", f"{fresh:.1f} and {int(result.stdout) / 1024:.1f} MB", "8 and 32 MB",
         f"idle after 300 files of 3,000 rows {after[0]:.1f} MB, {after[1]:.1f} MB at most")


def cpu_time(pid):
    """Milliseconds that the process has run."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e6


def resident(pid):
    """Megabytes: now, and at most so far."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        values = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status if line.startswith(("VmRSS", "VmHWM"))}
    return values["VmRSS"], values["VmHWM"]


def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()


def drip(place, count, pause):
    """One file after the other; the daemon's CPU time for each, in milliseconds, and all times to the durable line."""
    daemon = start_daemon(place)
    watcher = Watcher(place)
    times, used = [], []
    for number in range(-1, count):
        before = cpu_time(daemon.pid)
        name = f"drip{daemon.pid}_{number}.csv"
        head, lines = full(number + 12345, 10)
        hidden = os.path.join(place.data, "user_data", ".hidden")
        with open(hidden, "w", encoding="ascii") as out:
            out.write("\n".join([head, f"{time.time()}" + lines[0][lines[0].index(","):]] + lines[1:]) + "\n")
        start = time.monotonic()
        os.rename(hidden, os.path.join(place.data, "user_data", name))
        while name not in watcher.durable:
            watcher.poll()
            time.sleep(0.0002)
        took = watcher.durable[name] - start
        time.sleep(pause if number >= 0 else 3)
        if number >= 0:
            times.append(took * 1000)
            used.append(cpu_time(daemon.pid) - before)
    memory_used = resident(daemon.pid)
    stop(daemon)
    return used, times, memory_used


def beside(base, mib):
    """Small files, twenty a second, while a large one is merged: how long until each is durable."""
    place = Place(base)
    large, hidden = os.path.join(place.path, "large"), os.path.join(place.data, "user_data", ".hidden")
    write_rows(large, mib, "")
    size = os.path.getsize(large)
    subprocess.run(["sync", "-f", place.path], check=False)
    daemon = start_daemon(place)
    watcher = Watcher(place)
    sent = {"large.csv": time.monotonic()}
    os.rename(large, os.path.join(place.data, "user_data", "large.csv"))
    while watcher.bytes.get("large.csv") != size or any(name not in watcher.durable for name in sent):
        if watcher.bytes.get("large.csv") != size:
            head, lines = full(len(sent), 10)
            with open(hidden, "w", encoding="ascii") as out:
                out.write("\n".join([head] + lines) + "\n")
            name = f"small{len(sent)}.csv"
            sent[name] = time.monotonic()
            os.rename(hidden, os.path.join(place.data, "user_data", name))
        pause = time.monotonic() + 0.05
        while time.monotonic() < pause:
            watcher.poll()
            time.sleep(0.001)
    stop(daemon)
    place.remove()
    times = {name: (watcher.durable[name] - start) * 1000 for name, start in sent.items()}
    took = times.pop("large.csv")
    show(f"small files beside one of {mib} MiB", f"max {max(times.values()):.0f} ms", "-",
         f"{percentiles(list(times.values()))}  the large one {took / 1000:.1f} s")


class Watcher:
    """When each name's last line became durable, and of how many bytes of the file it speaks: the lock's mark, cleared after
    the sync, was gone, or the next batch had begun."""

    def __init__(self, place):
        self.ledger = os.path.join(place.data, "state/ledger.csv")
        self.lock = os.path.join(place.data, "state/lock")
        self.at = os.stat(self.ledger).st_size if os.path.exists(self.ledger) else 0
        self.file = None
        self.written, self.durable, self.bytes, self.batch, self.rest = [], {}, {}, "", b""

    def poll(self):
        if self.file is None:
            if not os.path.exists(self.ledger):
                return
            self.file = os.open(self.ledger, os.O_RDONLY)
        quiet = os.stat(self.lock).st_size == 0
        more = os.pread(self.file, 1 << 20, self.at)
        now = time.monotonic()
        self.at += len(more)
        lines = (self.rest + more).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            cells = line.split(b",", 6)
            if cells[1] != self.batch:
                self.settle(now)
                self.batch = cells[1]
            if cells[3] != b"started":
                self.written.append((cells[4].decode(), int(cells[5])))
        # The mark was looked at before the lines: what it did not cover then is durable.
        if quiet and not more:
            self.settle(now)

    def settle(self, now):
        for name, size in self.written:
            self.durable[name] = now
            self.bytes[name] = size
        self.written.clear()


def medians(times):
    return f"{statistics.median(times):.2f} and {sorted(times)[int(len(times) * 0.99)]:.2f} ms"


def percentiles(times):
    times = sorted(times)
    return (f"median {statistics.median(times):.2f} ms  99th percentile {times[int(len(times) * 0.99)]:.2f} ms  "
            f"max {times[-1]:.2f} ms")


def prepare(place, count, processes=2):
    """Files in a directory beside the drop directory, the same in each run."""
    stage = os.path.join(place.path, "stage")
    os.makedirs(stage)
    head, lines = full(1, 10)
    tail = "\n".join(lines[1:]) + "\n"
    for child in fork_each(processes):
        for number in range(child, count, processes):
            with open(os.path.join(stage, f"load{number:07d}.csv"), "w", encoding="ascii") as out:
                out.write(f"{head}\n{number}{lines[0][lines[0].index(','):]}\n{tail}")
    return stage


def fork_each(processes):
    """Runs the body of a for loop in as many processes, and waits for them."""
    children = []
    for child in range(processes):
        pid = os.fork()
        if pid == 0:
            try:
                yield child
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def send(place, stage, count, rate, sent, first, step):
    """Renames every step-th file into the drop directory, each when its time has come."""
    source, target = (os.open(path, os.O_RDONLY) for path in (stage, os.path.join(place.data, "user_data")))
    start = time.monotonic() + 0.2
    for number in range(first, count, step):
        due = start + number / rate
        while time.monotonic() < due:
            time.sleep(max(0.0, min(0.005, due - time.monotonic())))
        sent[number] = time.monotonic()
        os.rename(f"load{number:07d}.csv", f"load{number:07d}.csv", src_dir_fd=source, dst_dir_fd=target)


def load(base, rate, seconds):
    """Files that are renamed into the drop directory at this rate, all of them: how long until each is durable."""
    place = Place(base)
    count = rate * seconds
    stage = prepare(place, count)
    subprocess.run(["sync", "-f", place.path], check=False)
    sent = memoryview(mmap.mmap(-1, count * 8)).cast("d")
    daemon = start_daemon(place)
    watcher = Watcher(place)
    before, used = resident(daemon.pid), cpu_time(daemon.pid)
    senders = []
    for first in range(2):
        pid = os.fork()
        if pid == 0:
            send(place, stage, count, rate, sent, first, 2)
            os._exit(0)
        senders.append(pid)
    deadline = time.monotonic() + 5 * seconds + 30
    while len(watcher.durable) < count and time.monotonic() < deadline:
        watcher.poll()
        time.sleep(0.001)
    for pid in senders:
        os.waitpid(pid, 0)
    after, used = resident(daemon.pid), cpu_time(daemon.pid) - used
    stop(daemon)
    times = [(at - sent[int(name[4:11])]) * 1000 for name, at in watcher.durable.items() if name.startswith("load")]
    place.remove()
    reached = (count - 1) / (max(sent) - min(sent))
    show(f"load: {rate} files a second for {seconds} s", f"max {max(times, default=0):.0f} ms", "1000 ms, all",
         f"{reached:.0f} a second, {len(times)} of {count} durable  {percentiles(times)}",
         f"{used / 1000:.1f} s of CPU  {before[0]:.1f} MB before, {after[0]:.1f} after, {after[1]:.1f} at most")


def look_at_each(directory):
    """The floor of a scan: list a directory, and look at each file."""
    start = time.monotonic()
    with os.scandir(directory) as entries:
        for entry in entries:
            entry.stat(follow_symlinks=False)
    return time.monotonic() - start


def known(base, count, rounds):
    """start, rescan and memory with so many files known; and what one more file costs then."""
    place, empty = Place(base), Place(base)
    drop = os.path.join(place.data, "user_data")
    for child in fork_each(2):
        for number in range(child, count, 2):
            with open(os.path.join(drop, f"user_{number % 500:03d}_external_20240101_{number:07d}.csv"), "w", encoding="ascii") as out:
                out.write(f"{METRICS}\n{number},1.5,2.5,3.5,4.5,5.5,6.5,7.5,idle\n")
    place.merge()
    time.sleep(2)  # files must be two seconds old to be known
    place.merge()
    floor, merges, starts, statuses = [], [], [], []
    for _ in range(rounds):
        floor.append(look_at_each(drop))
        merges.append(place.merge())
        statuses.append(timed([f"{BUILD}/phasesentinel", "status", *ROOT, "-c", place.config]))
    os.rename(drop, drop + ".aside")
    os.mkdir(drop)
    for _ in range(rounds):
        starts.append(place.merge())
    shutil.rmtree(drop)
    os.rename(drop + ".aside", drop)
    place.merge()
    rescans = [merge - statistics.median(starts) for merge in merges]
    label = f"{count} files known"
    show("start: " + label, f"{statistics.median(starts):.2f} s", "1 s", f"a merge of nothing: {spread(starts)}")
    show("rescan: " + label, f"{statistics.median(rescans):.2f} s", "2 s",
         f"{spread(rescans)}  os.scandir and stat of each: {spread(floor)}")
    show("status: " + label, f"{statistics.median(statuses):.2f} s", "-", spread(statuses))
    used, times, memory_used = drip(place, 20, 0.5)
    empty.merge()
    used_empty, times_empty, memory_empty = drip(empty, 20, 0.5)
    show(f"memory: {label}, none", f"{memory_used[0]:.1f} and {memory_empty[0]:.1f} MB", "128 and 8 MB", f"{memory_used[1]:.1f} MB at most")
    show("one more file: known, none", f"ratio {statistics.median(used) / statistics.median(used_empty):.2f}", "-",
         f"{statistics.median(used):.2f} ms of CPU, {statistics.median(used_empty):.2f} ms; durable in {statistics.median(times):.2f} ms, "
         f"{statistics.median(times_empty):.2f} ms")
    place.remove()
    empty.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--tiny", type=int, default=50000)
    parser.add_argument("--large", type=int, default=1024, help="MiB of a large file")
    parser.add_argument("--grown", type=int, default=10240, help="MiB of the training file, and of the file for memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--known", type=int, default=1000000, help="files that are known")
    parser.add_argument("--rate", type=int, default=5000, help="files a second under load")
    parser.add_argument("--seconds", type=int, default=60, help="how long")
    parser.add_argument("--only", default="", help="the works with this in their name: start, rescan, memory, load and so on")
    options = parser.parse_args()
    base = tempfile.mkdtemp(prefix="phasesentinel-bench.", dir=os.environ.get("TMPDIR", "/tmp"))
    works = [
        ("full rows, 12 columns", options.files, 3000, full, "\n", "1.5"),
        ("metadata from the name", options.files, 3000, metrics_only, "\n", "-"),
        ("columns in another order", options.files, 3000, other_order, "\n", "-"),
        ("CRLF", options.files, 3000, full, "\r\n", "-"),
        ("every cell quoted", options.files, 3000, quoted, "\n", "-"),
        ("5 % of the files bad (settle = 0)", options.files, 3000, some_bad, "\n", "-"),
        ("tiny files, 10 rows", options.tiny, 10, full, "\n", "2"),
    ]
    try:
        for work, files, count, shape, end, goal in works:
            if options.only not in work:
                continue
            source = os.path.join(base, "source")
            generate(source, files, count, shape, end)
            good = files - (files + 19) // 20 if "bad" in work else files
            against_cat(base, work, source, good * count, options.rounds, goal, 0 if "bad" in work else 5)
            shutil.rmtree(source)
        work = f"one large file, {options.large} MiB"
        if options.only in work:
            source = os.path.join(base, "source")
            os.makedirs(source)
            rows = write_rows(os.path.join(source, "large.csv"), options.large, "")
            against_cat(base, work, source, rows, options.rounds, "-")
            shutil.rmtree(source)
        if options.only in "system calls":
            system_calls(base, options.tiny // 10)
        if options.only in "latency":
            latency(base, 300)
        if options.only in "beside":
            beside(base, options.large)
        if options.only in "growth":
            growth(base, options.grown, options.rounds)
        if options.only in "memory":
            memory(base, options.grown)
        if options.only in "start rescan known":
            known(base, options.known, options.rounds)
        if options.only in "load":
            load(base, options.rate, options.seconds)
    finally:
        shutil.rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
