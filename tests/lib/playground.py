"""What the tests in Python share: data directories of their own, the shipping programs on them, a guard.

Options.prepare copies the programs to where another user reaches them: as root, they run as nobody, so that there are
files that they may not read.
"""
import csv
import ctypes
import io
import os
import pwd
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from checker import unescape

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE = 120  # seconds for one run
CODES = ("blank-label duplicate-label missing-label extra-label blank-row missing-cell extra-cell type-error "
         "constraint-error encoding-error stray-quote unterminated-quote truncated-file row-too-long too-many-columns "
         "file-too-large format-error changed-file file-type file-unreadable").split()
# Between us and the program, as the peak of a process counts in that of the one that forked it, and ours is large.
MEASURE = """import os, sys
pipe, user, group = map(int, sys.argv[1:4])
child = os.fork()
if child == 0:
    if user:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    os.close(pipe)
    os.execv(sys.argv[4], sys.argv[4:])
_, status, usage = os.wait4(child, 0)
os.write(pipe, b"%d" % usage.ru_maxrss)
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""


def printable(text):
    """Bytes of a stranger as a person must see them; as man/phasesentinel-formats.5 says, worked out again."""
    shown, unseen = "", set(range(0x20)) | set(range(0x7F, 0xA0)) | {0x61C, 0x200E, 0x200F, 0x2028, 0x2029}
    unseen |= set(range(0x202A, 0x202F)) | set(range(0x2066, 0x206A))
    for c in text.decode("utf-8", "surrogateescape"):
        if ord(c) in unseen or 0xDC80 <= ord(c) <= 0xDCFF:
            shown += "".join("\\x%02X" % byte for byte in c.encode("utf-8", "surrogateescape"))
        else:
            shown += "\\\\" if c == "\\" else c
    return shown


class Options:
    """For all sites: where the programs are, who runs them (None: we), were they built with a sanitizer?"""
    build, user, sanitized = "", None, False

    @classmethod
    def prepare(cls, build, top):
        os.chmod(top, 0o755)
        cls.build = os.path.join(top, "bin")
        os.mkdir(cls.build)
        for program in ("phasesentinel", "phasesentineld"):
            shutil.copy(os.path.join(build, program), cls.build)
        with open(os.path.join(cls.build, "phasesentinel"), "rb") as file:
            cls.sanitized = b"__asan_init" in file.read()
        cls.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    @classmethod
    def channels(cls):
        """For subprocess: as that user."""
        return {"user": cls.user.pw_uid, "group": cls.user.pw_gid, "extra_groups": []} if cls.user else {}


class Outcome:
    def __init__(self, code, out, err, rss):
        self.code, self.out, self.err, self.rss = code, out, err, rss


class Site:
    """A data directory of its own, and the programs on it."""

    def __init__(self, top, name, schema=None, **keys):
        self.top = os.path.join(top, name)
        self.data, self.outside = os.path.join(self.top, "data"), os.path.join(self.top, "outside")
        self.drop, self.quarantine = os.path.join(self.data, "user_data"), os.path.join(self.data, "quarantine")
        self.log = os.path.join(self.top, "log")
        os.makedirs(self.drop)
        os.mkdir(self.outside)
        self.schema = os.path.join(self.top, "schema.ini")
        if schema is None:
            shutil.copy(os.path.join(TESTS, "..", "etc", "schema.ini"), self.schema)
        else:
            self.write(self.schema, schema)
        sections = {"watch": {"settle": 1, "stale": 1}}
        for key, value in keys.items():
            sections.setdefault(*key.split("__")[:1], {})[key.split("__")[1]] = value
        text = "[paths]\ndata_dir = data\nschema = schema.ini\n"
        for section, values in sections.items():
            text += "[%s]\n" % section + "".join("%s = %s\n" % pair for pair in values.items())
        self.write(os.path.join(self.top, "phasesentinel.ini"), text.encode())
        if Options.user:
            for path in (self.data, self.drop):
                os.chown(path, Options.user.pw_uid, Options.user.pw_gid)
        self.sent, self.daemon = {}, None

    @staticmethod
    def write(path, content):
        with open(path, "wb") as out:
            out.write(content)

    def put(self, name, content):
        """A file in the drop directory, remembered."""
        path = os.path.join(os.fsencode(self.drop), name)
        self.write(path, content)
        if Options.user:
            os.chown(path, Options.user.pw_uid, Options.user.pw_gid)
        self.sent[name] = content
        return path

    def command(self, program, *arguments):
        allow_root = ["--allow-root"] if os.geteuid() == 0 and not Options.user else []
        return [os.path.join(Options.build, program), "-c", os.path.join(self.top, "phasesentinel.ini"), *allow_root,
                *arguments]

    def run(self, *arguments):
        """The command line; its exit code, its output and its peak of memory in MiB."""
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            who = Options.user
            measure = [sys.executable, "-SEc", MEASURE] + ["%d" % n for n in (writing, who.pw_uid if who else 0, who.pw_gid if who else 0)]
            process = subprocess.Popen(measure + self.command("phasesentinel", *arguments), stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=err, pass_fds=[writing], start_new_session=True)
            os.close(writing)
            alarm = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
            alarm.start()
            code = process.wait()
            alarm.cancel()
            with open(reading, "rb") as pipe:
                rss = int(pipe.read() or 0) / 1024
            out.seek(0)
            err.seek(0)
            return Outcome(code, out.read(), err.read(), rss)

    def start_daemon(self):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(self.command("phasesentineld"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           **Options.channels())

    def stop_daemon(self):
        """Its exit code and its peak of memory."""
        with open("/proc/%d/status" % self.daemon.pid, encoding="ascii") as file:
            rss = int(re.search(r"VmHWM:\s*(\d+)", file.read())[1]) / 1024
        self.daemon.send_signal(signal.SIGTERM)
        code = self.daemon.wait(PATIENCE)
        self.daemon = None
        return code, rss

    def close(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()

    def read(self, *parts):
        with open(os.path.join(self.data, *parts), "rb") as file:
            return file.read()

    def ledger(self):
        """The last verdict by name."""
        try:
            lines = [line.split(",") for line in self.read("state", "ledger.csv").decode("ascii").splitlines()[1:]]
        except FileNotFoundError:
            return {}
        return {os.fsencode(unescape(line[4])): line[3] for line in lines}

    def waiting(self):
        """The reason by name as bytes, from state/waiting.csv."""
        try:
            lines = csv.reader(io.StringIO(self.read("state", "waiting.csv").decode()), strict=True)
        except FileNotFoundError:
            return {}
        return {os.fsencode(unescape(line[0])): line[1] for line in list(lines)[1:]}

    def reasons(self, name):
        """What NAME.errors.csv says: (line, code, value)."""
        path = os.path.join(os.fsencode(self.quarantine), name + b".errors.csv")
        with open(path, encoding="utf-8", newline="") as file:
            return [(line or "-", code, value) for line, _, _, code, value, _ in list(csv.reader(file, strict=True))[1:]]

    def snapshot(self):
        """All below the data directory: kind, size and times; what must not change."""
        found = {}
        for where, dirs, files in os.walk(os.fsencode(self.data)):
            for name in dirs + files:
                path = os.path.join(where, name)
                info = os.lstat(path)
                found[path] = (info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        return found

    def checker(self, *options):
        done = subprocess.run([sys.executable, "-SEB", os.path.join(TESTS, "checker.py"), self.data, "--schema", self.schema, *options],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout.decode("utf-8", "replace").splitlines() if done.returncode else []

    def found(self, path, out):
        """LINE:CODE of each violation that `check` printed of this path, in order; "-" for no line."""
        start = printable(path) + ":"
        wanted = re.compile("%s(?:(\\d+):)? (%s): " % (re.escape(start), "|".join(CODES)))
        matches = (wanted.match(line) for line in out.decode().splitlines())
        return " ".join("%s:%s" % (match[1] or "-", match[2]) for match in matches if match)


class Guard:
    """Tells whether anybody opens what lies in a directory (inotify)."""
    WATCHED = 0x1 | 0x2 | 0x4 | 0x8 | 0x20  # ACCESS, MODIFY, ATTRIB, CLOSE_WRITE, OPEN

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if libc.inotify_add_watch(self.fd, os.fsencode(directory), self.WATCHED) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def seen(self):
        """The names touched since it began."""
        names, data = set(), b""
        try:
            while True:
                data += os.read(self.fd, 65536)
        except BlockingIOError:
            pass
        while data:
            length = struct.unpack("iIII", data[:16])[3]
            names.add(data[16:16 + length].rstrip(b"\0").decode() or "the directory")
            data = data[16 + length:]
        return sorted(names)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
