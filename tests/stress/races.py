#!/usr/bin/env python3
"""Swaps files under the collector's hands while it merges.

    tests/stress/races.py [--seconds S] [--seed S] [--build DIR] [--keep]

Each way of swapping is a process that plays with a name of its own in a tight loop: renamed over, a symbolic link to a
secret and back, truncated, appended to, rewritten in place at the same size, a FIFO, a directory, other hard links,
unlinked and made again, times set back, exchanged with a link in one step, permissions taken away. Beside them the
daemon works, and `phasesentinel merge` again and again. When they have stopped, then must hold: nobody opened anything
outside the data directory, and no byte of it is in there; every row of the training file is one that was sent, whole,
and stands there once; the rows of the files that stayed are all there; each way's last file is merged; and
tests/checker.py finds nothing. Once for each way an accepted file leaves; and, where tmpfs can be mounted, with the drop
directory as a file system of its own, where a further process swaps what the collector hides there.

Every row can be told from its number, and its number tells who sent it. Prints TAP.
"""
import argparse
import collections
import ctypes
import multiprocessing
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(TESTS, "lib")]

from kill import METRICS, Report
from playground import Guard, Options, Site, wait_for

SUFFIX = ",anonymous,external,normal,"
MARKER = "secretmarker"
EACH = 10 ** 7  # numbers of a way
LIBC = ctypes.CDLL(None, use_errno=True)


def row(number):
    """All of it follows from the number, and all are of one length: a torn row is another."""
    return "1%09d,%02d.%02d,20.5,1,0,0,0,%05d,idle" % (number, number % 97, number % 89, number * 7919 % 99991)


def exchange(left, right):
    """Both names change what they stand for, in one step."""
    if LIBC.renameat2(-100, os.fsencode(left), -100, os.fsencode(right), 2) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


class Player:
    """One way of swapping, with a name and rows of its own."""

    def __init__(self, way, index, drop, outside, seed):
        self.name = way.__name__
        self.way, self.first, self.next = way, index * EACH, index * EACH
        self.path = os.path.join(drop, self.name + ".csv")
        self.aside = os.path.join(drop, "." + self.name)  # a name that is not looked at, for preparations
        self.secret = os.path.join(outside, "secret.csv")
        self.rng = random.Random(seed + index)
        self.pace = 1  # milliseconds, at most, between two steps
        self.rounds, self.state, self.trouble = 0, {}, ""

    def content(self, count=20, bad=False):
        """Rows that were never sent before."""
        lines = [METRICS] + [row(self.next + i) for i in range(count)]
        self.next += count
        return ("\n".join(lines + ["bad"] * bad) + "\n").encode()

    def write(self, path, content, mode="wb"):
        with open(path, mode, buffering=0) as file:
            for start in range(0, len(content), 1000):
                file.write(content[start:start + 1000])
                self.pause(0.1)

    def put(self, content, path=None):
        self.write(self.aside, content)
        os.rename(self.aside, path or self.path)

    def pause(self, chance=1.0):
        if self.rng.random() < chance:
            time.sleep(self.rng.uniform(0, self.pace / 1000))

    def play(self, stop, result):
        """Until told to stop; what came of it goes to `result` whatever happens: somebody waits for it."""
        try:
            self.swap_until(stop)
            self.clear_asides()
            self.clear(self.path)
            self.put(self.content(), self.path[:-4] + "-final.csv")
        except OSError as error:
            self.trouble = "%s: %s" % (self.name, error)
        finally:
            result.put((self.name, (self.rounds, self.next, self.state.get("stays"), self.trouble)))

    def swap_until(self, stop):
        """The collector may take the file away at any moment."""
        while not stop.is_set():
            try:
                self.way(self, self.state)
                self.rounds += 1
            except (FileNotFoundError, FileExistsError):
                self.state.clear()
            except (PermissionError, IsADirectoryError, NotADirectoryError):  # the collector has put back what it took
                self.clear(self.path)
            except OSError as error:
                self.trouble = "%s: %s" % (self.name, error)
                self.state.clear()
            if not self.state:
                self.clear_asides()
            self.pause()

    def clear_asides(self):
        for end in ("", "-kept", "-copy", "-linked"):
            self.clear(self.aside + end)

    def clear(self, path):
        """Nothing there, or a file that can be read; at any step the collector may be quicker."""
        try:
            kind = os.lstat(path).st_mode
            if stat.S_ISDIR(kind):
                shutil.rmtree(path)
            elif not stat.S_ISREG(kind) or path != self.path:
                os.unlink(path)
            else:
                os.chmod(path, 0o644)
                os.utime(path)
        except FileNotFoundError:
            pass


# --- the ways; `state` lives as long as the file is not taken away. Those that set state["stays"] never change the ---
# --- rows (first, end): swapped or not, all of them must be merged in the end.                                     ---

def steady(player, state):
    """The same file as before, or a new one where there is none."""
    if "stays" not in state or not os.path.lexists(player.path):
        first = player.next
        state["content"] = player.content()
        player.put(state["content"])
        state["stays"] = (first, player.next)


def rename_over(player, _):
    player.put(player.content(bad=player.rng.random() < 0.2))


def symlink(player, state):
    steady(player, state)
    os.symlink(player.secret, player.aside)
    os.link(player.path, player.aside + "-kept")
    os.rename(player.aside, player.path)
    player.pause()
    os.rename(player.aside + "-kept", player.path)


def truncate(player, _):
    with open(player.path, "ab") as file:
        file.truncate(player.rng.choice((0, 10, len(METRICS) + 1, 200)))
    player.pause()
    player.write(player.path, player.content())


def append(player, state):
    if not os.path.lexists(player.path):
        state["stays"] = (player.next, player.next)
        player.put(player.content(0))
    first = player.next
    player.next += 3
    text = "".join(row(first + i) + "\n" for i in range(3)).encode()
    with open(player.path, "r+b", buffering=0) as file:
        file.seek(0, os.SEEK_END)
        cut = player.rng.randrange(len(text))
        file.write(text[:cut])
        player.pause(0.5)
        file.write(text[cut:])
    state["stays"] = (state.get("stays", (first,))[0], player.next)


def in_place(player, _):
    content = player.content()
    if not os.path.lexists(player.path):
        player.put(content)
        return
    with open(player.path, "r+b", buffering=0) as file:
        for start in range(0, len(content), 300):
            file.seek(start)
            file.write(content[start:start + 300])
            player.pause(0.2)


def fifo(player, state):
    steady(player, state)
    os.mkfifo(player.aside)
    os.link(player.path, player.aside + "-kept")
    os.rename(player.aside, player.path)
    player.pause()
    os.rename(player.aside + "-kept", player.path)


def directory(player, state):
    steady(player, state)
    os.rename(player.path, player.aside)
    os.mkdir(player.path)
    os.symlink(player.secret, os.path.join(player.path, "x.csv"))
    player.pause()
    os.unlink(os.path.join(player.path, "x.csv"))
    os.rmdir(player.path)
    os.rename(player.aside, player.path)


def hard_link(player, state):
    steady(player, state)
    with open(player.aside + "-copy", "wb") as file:
        file.write(state["content"])
    os.rename(player.aside + "-copy", player.aside)
    os.link(player.aside, player.aside + "-linked")
    os.rename(player.aside + "-linked", player.path)


def unlink(player, _):
    player.write(player.path, player.content())
    player.pause()
    os.unlink(player.path)


def times(player, state):
    """Rewritten, with the times of before."""
    if not os.path.lexists(player.path):
        player.put(player.content())
        state["times"] = os.stat(player.path)
    info = state.get("times") or os.stat(player.path)
    content = player.content()
    with open(player.path, "r+b", buffering=0) as file:
        file.write(content)
        os.utime(file.fileno(), ns=(info.st_atime_ns, info.st_mtime_ns))
    player.pause()
    os.utime(player.path, (0, player.rng.choice((0, 1, 2 ** 31, 2 ** 33))))


def exchanged(player, state):
    steady(player, state)
    os.symlink(player.secret, player.aside)
    exchange(player.path, player.aside)
    player.pause()
    exchange(player.path, player.aside)
    os.unlink(player.aside)


def permissions(player, state):
    steady(player, state)
    os.chmod(player.path, player.rng.choice((0, 0o200, 0o400, 0o644)))


WAYS = (rename_over, symlink, truncate, append, in_place, fifo, directory, hard_link, unlink, times, exchanged, permissions)


def squat(site):
    """What is in the way of the directory in which the collector hides what it takes."""
    Site.write(os.path.join(site.drop, ".phasesentinel"), b"mine")
    os.symlink(site.outside, os.path.join(site.drop, ".phasesentinel.~2~"))
    os.mkdir(os.path.join(site.drop, ".phasesentinel.~3~"))
    os.chmod(os.path.join(site.drop, ".phasesentinel.~3~"), 0o777)
    Site.write(os.path.join(site.drop, ".phasesentinel.~3~", "mine.csv"), b"mine")
    Site.write(os.path.join(site.drop, ".phasesentinel.1.csv"), b"mine")


def squatters_left(site):
    """What of that is gone."""
    return [name for name in (".phasesentinel", ".phasesentinel.~2~", ".phasesentinel.~3~/mine.csv", ".phasesentinel.1.csv")
            if not os.path.lexists(os.path.join(site.drop, name))]


def snipe(drop, secret, stop, result):
    """Swaps what the collector hides in the drop directory, where that is a file system of its own."""
    shots, shot = 0, os.path.join(drop, ".shot")
    while not stop.is_set():
        for where in [name for name in os.listdir(drop) if name.startswith(".phasesentinel.~4")]:
            try:
                for name in os.listdir(os.path.join(drop, where)):
                    os.symlink(secret, shot)
                    exchange(os.path.join(drop, where, name), shot)
                    shots += 1
                    os.rename(shot, os.path.join(drop, "shot-%d.csv" % shots))
            except OSError:
                pass
            if os.path.lexists(shot):
                os.unlink(shot)
    result.put(("sniper", (shots, 0, None, "")))


# --- a round -------------------------------------------------------------------------------------------------------

def merge_again_and_again(site, stop, codes):
    while not stop.is_set():
        codes.append(site.run("merge").code)
        time.sleep(0.2)


def is_over(site, names):
    """Has each of the last files its verdict, and nothing else to be judged? What was removed is known after a rescan."""
    ledger, waiting = site.ledger(), site.waiting()
    return all(ledger.get(name) == "merged" for name in names) and \
        not any(reason in ("new", "failing", "being-written") for reason in waiting.values()) and not findings(site)


def findings(site):
    """Of the checker; but a file that was swapped between its verdict and the move went its own way."""
    return [line for line in site.checker() if "quarantine holds 0 copies of it" not in line]


def training_numbers(site, allowed, torn):
    """How often each number stands in the training file; and what is no row of anybody. In `torn` are numbers of those
    who write in place: with settle = 0 a file is judged between two of their writes, and such a mixture is what it was."""
    numbers, wrong = collections.Counter(), []
    for line in site.read("training_data.csv").decode().splitlines()[1:]:
        number = int(line[1:10]) if line[1:10].isdigit() else -1
        if number in torn and line != row(number) + SUFFIX:
            continue
        if line != row(number) + SUFFIX or number not in allowed:
            wrong.append("no row that was sent: " + line[:200])
        numbers[number] += 1
    return numbers, wrong + ["row %d stands there %d times" % pair for pair in numbers.items() if pair[1] > 1]


def secret_places(site):
    found = []
    for where, _, files in os.walk(site.data):
        for name in files:
            path = os.path.join(where, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as file:
                    found += [path] if MARKER.encode() in file.read() else []
    return found


def race(report, site, seconds, seed, sniper=False, patient=False):
    what = os.path.basename(site.top)
    Site.write(os.path.join(site.outside, "secret.csv"),
               (METRICS + ",label\n" + row(0) + "," + MARKER + "\n").encode())
    if sniper:
        squat(site)
    guard = Guard(site.outside)
    stop, quiet, result, codes = multiprocessing.Event(), threading.Event(), multiprocessing.SimpleQueue(), []
    players = [Player(way, index + 1, site.drop, site.outside, seed) for index, way in enumerate(WAYS)]
    for player in players:
        player.pace = 5 if seconds > 10 else 2
    processes = [multiprocessing.Process(target=become_user, args=(player.play, stop, result)) for player in players]
    if sniper:
        processes.append(multiprocessing.Process(target=become_user, args=(
            snipe, site.drop, os.path.join(site.outside, "secret.csv"), stop, result)))
    site.start_daemon()
    merger = threading.Thread(target=merge_again_and_again, args=(site, quiet, codes))
    try:
        for process in processes:
            process.start()
        merger.start()
        time.sleep(seconds)
        stop.set()
        for process in processes:
            process.join()
        quiet.set()
        merger.join()
        finals = [os.path.basename(player.path[:-4] + "-final.csv").encode() for player in players]
        over = wait_for(lambda: is_over(site, finals))
        report("%s: each way's last file is merged" % what, [] if over else
               ["%s: %s" % (name, site.ledger().get(name)) for name in finals if site.ledger().get(name) != "merged"] +
               [repr(site.waiting())])
        code, _ = site.stop_daemon()
    finally:
        stop.set()
        quiet.set()
        site.close()
    with open(site.log, "rb") as log:
        report("%s: the daemon ends with 0, each merge with 0, 1 or 75" % what,
               [] if code == 0 and set(codes) <= {0, 1, 75} else
               ["exit %d, merges %s" % (code, sorted(set(codes))), log.read()[-2000:].decode("utf-8", "replace")])
    done = dict(result.get() for _ in processes)
    print("# " + ", ".join("%s %d" % (name, rounds) for name, (rounds, _, _, _) in sorted(done.items())) +
          ", %d merges" % len(codes), flush=True)
    report("%s: each way went on" % what, [trouble for _, _, _, trouble in done.values() if trouble] +
           [player.name for player in players if done.get(player.name, (0,))[0] == 0])
    report("%s: nothing outside was opened" % what, guard.seen())
    report("%s: no byte of it is inside" % what, secret_places(site))
    allowed, torn = set(), set()
    for player in players:
        sent = set(range(player.first, done[player.name][1]))
        allowed |= sent
        torn |= sent if player.way in (in_place, times, truncate) and not patient else set()
    numbers, wrong = training_numbers(site, allowed, torn)
    report("%s: %d rows merged, each as sent, each once" % (what, len(numbers)), wrong)
    stayed = [number for _, _, stays, _ in done.values() if stays for number in range(*stays)]
    report("%s: %d rows that stayed are all there" % (what, len(stayed)),
           ["row %d is missing" % number for number in stayed if number not in numbers])
    if sniper:
        report("%s: what stood in the way is still there" % what, squatters_left(site))
    report("%s: the checker finds nothing" % what, findings(site))


def become_user(work, *arguments):
    """In a process of its own: what is dropped belongs to whom the collector runs as, so that it may ask for leases."""
    if Options.user:
        os.setgroups([])
        os.setgid(Options.user.pw_gid)
        os.setuid(Options.user.pw_uid)
    os.umask(0o022)
    work(*arguments)


def mounted_tmpfs(site):
    """The drop directory on a file system of its own, if that is allowed here."""
    user = "uid=%d,gid=%d" % (Options.user.pw_uid, Options.user.pw_gid) if Options.user else "mode=755"
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=755," + user, "tmpfs", site.drop],
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 9))
    parser.add_argument("--build", default=os.path.join(TESTS, "..", "build"))
    parser.add_argument("--only", help="this round alone: keep, archive, delete, across")
    parser.add_argument("--keep", action="store_true", help="keep the directory")
    options = parser.parse_args()
    print("# seed %d" % options.seed, flush=True)
    report, top, mounts = Report(), tempfile.mkdtemp(prefix="races."), []
    try:
        Options.prepare(options.build, top)
        rounds = {"keep": {"merge__changed": "quarantine"}, "patient": {"watch__settle": 1, "merge__changed": "merge"},
                  "archive": {"merge__source": "archive", "merge__changed": "merge"},
                  "delete": {"merge__source": "delete", "merge__changed": "merge"},
                  "across": {"merge__source": "archive", "merge__changed": "merge"}}
        for name, keys in rounds.items():
            if options.only not in (None, name):
                continue
            site = Site(top, name, **{"watch__settle": 0, "watch__stale": 0, "watch__rescan": 1, **keys})
            if name == "across":
                if not mounted_tmpfs(site):
                    print("# no tmpfs can be mounted here")
                    continue
                mounts.append(site.drop)
            race(report, site, options.seconds / len(rounds), options.seed, name == "across", name == "patient")
    finally:
        for mount in mounts:
            subprocess.run(["umount", "-l", mount], check=False)
        if options.keep:
            print("# kept: %s" % top)
        else:
            shutil.rmtree(top)
    print("1..%d" % report.count)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
