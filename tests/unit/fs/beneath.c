
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/place.h"
#include "lib/unit.h"
#include "base/csv_name.h"
#include "fs/beneath.h"
#include "fs/lease.h"
#include "fs/file_id.h"
#include "drop/drop_scan.h"

static int dir;
static struct cause cause;

static void test_names(void)
{
    static const char *const good[] = {"a.csv",    "A.CSV",     "x.CsV",        "a..csv",
                                       " .csv",    "\n.csv",    "\xFF.csv",     "a.csv.csv",
                                       "-rf.csv",  "%.csv",     "a/b.csv",      "a.csv/b.csv",
                                       "a.csv.gz", "A.CSV.ZST", "a.csv.csv.Gz", "a/b.csv.zst"};
    static const char *const bad[] = {"",         ".",          "..",         ".csv",
                                      ".a.csv",   "a.csv~",     "a.csv.part", "a.csv.filepart",
                                      "acsv",     "csv",        "a.cs",       ".a.csv.XXXXXX",
                                      "a.csv ",   "sedXXXXXX",  "a.csv.bz2",  "..csv",
                                      ".a/b.csv", "a/.b/c.csv", "a/.b.csv",   "a.csv/",
                                      ".csv.gz",  "a/.csv.zst", "a.gz",       "a.csv.gz.zst",
                                      "a.csvgz",  "csv.gz"};
    static const char *const good_directories[] = {"a", "a/b", "a.csv", "a./b.", "a/lost+found/b"};
    static const char *const bad_directories[] = {".a", "a/.b", ".a/b", "lost+found",
                                                  "a/lost+found"};
    size_t i;

    for (i = 0; i < sizeof good_directories / sizeof *good_directories; i++)
        check(csv_name_is_scanned_directory(good_directories[i]), "the directory '%s' counts",
              good_directories[i]);
    for (i = 0; i < sizeof bad_directories / sizeof *bad_directories; i++)
        check(!csv_name_is_scanned_directory(bad_directories[i]), "the directory '%s' does not",
              bad_directories[i]);
    for (i = 0; i < sizeof good / sizeof *good; i++)
        check(csv_name_is_accepted(good[i]), "'%s' counts", good[i]);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!csv_name_is_accepted(bad[i]), "'%s' does not", bad[i]);
}

static void test_suffixes(void)
{
    static const struct {
        const char *name, *suffix, *csv;
    } table[] = {
        {"a.csv", ".csv", "a.csv"},
        {"a.CSV", ".CSV", "a.CSV"},
        {"a.csv.gz", ".csv.gz", "a.csv"},
        {"b/a.csv.csv.zst", ".csv.zst", "b/a.csv.csv"},
        {"A.Csv.ZST", ".Csv.ZST", "A.Csv"},
        {"a.txt", "", "a.txt"},
        {"a.gz", "", "a.gz"},
        {".csv.gz", "", ".csv.gz"},
        {"", "", ""},
    };
    char csv[32];
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        check_text(csv_name_suffix(table[i].name), table[i].suffix, "the end of a name");
        snprintf(csv, sizeof csv, "%.*s", (int)csv_name_length(table[i].name), table[i].name);
        check_text(csv, table[i].csv, "the name of the CSV inside");
    }
}

static void make_odd_things(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    place_put_text(dir, "file.csv", "content");
    symlinkat("file.csv", dir, "link.csv");
    symlinkat("nothing", dir, "dangling.csv");
    symlinkat("/etc/passwd", dir, "outside.csv");
    mkfifoat(dir, "fifo.csv", 0666);
    mkdirat(dir, "directory.csv", 0777);
    mkdirat(dir, "user", 0777);
    symlinkat("user", dir, "linked");
    place_put_text(dir, "user/in.csv", "inner");
    mkdirat(dir, "user/deep", 0777);
    mkdirat(dir, "user/deep/er", 0777);
    place_put_text(dir, "user/deep/er/in.csv", "content");
    symlinkat("er/in.csv", dir, "user/deep/link.csv");
    symlinkat("..", dir, "user/up");
    linkat(dir, "file.csv", dir, "hard.csv", 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket.csv", place);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    close(fd);
}

static void test_kinds(void)
{
    static const struct {
        const char *name;
        enum file_kind upload, open;
    } kinds[] = {
        {"file.csv", FILE_REGULAR, FILE_REGULAR},
        {"hard.csv", FILE_REGULAR, FILE_REGULAR},
        {"user/in.csv", FILE_REGULAR, FILE_REGULAR},
        {"none.csv", FILE_GONE, FILE_GONE},
        {"link.csv", FILE_OTHER, FILE_OTHER},
        {"dangling.csv", FILE_OTHER, FILE_OTHER},
        {"outside.csv", FILE_OTHER, FILE_OTHER},
        {"fifo.csv", FILE_OTHER, FILE_OTHER},
        {"socket.csv", FILE_OTHER, FILE_OTHER},
        {"directory.csv", FILE_DIRECTORY, FILE_DIRECTORY},
        {"linked/in.csv", FILE_GONE, FILE_GONE},
        {"user/none.csv", FILE_GONE, FILE_GONE},
        {"file.csv/in.csv", FILE_GONE, FILE_GONE},
        {"nowhere/in.csv", FILE_GONE, FILE_GONE},
        {"user/deep/er/in.csv", FILE_REGULAR, FILE_REGULAR},
        {"user/deep/link.csv", FILE_OTHER, FILE_OTHER},
        {"user/up/file.csv", FILE_GONE, FILE_GONE},
        {"user/up/user/in.csv", FILE_GONE, FILE_GONE},
        {"user/deep", FILE_DIRECTORY, FILE_DIRECTORY},
    };
    struct file_id file_id;
    size_t i;
    int fd;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        enum file_kind kind;

        check(beneath_stat(dir, kinds[i].name, &file_id) == kinds[i].upload, "%s: what it is",
              kinds[i].name);
        fd = -5;
        kind = beneath_open(dir, kinds[i].name, &fd, &file_id);
        check(kind == kinds[i].open && (kind == FILE_REGULAR) == (fd >= 0) &&
                  (kind == FILE_REGULAR || fd == -5),
              "%s: opened only if it is a file", kinds[i].name);
        if (fd >= 0)
            close(fd);
    }
    {
        int user = openat(dir, "user", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        check(beneath_open(user, "../file.csv", &fd, &file_id) == FILE_OTHER &&
                  beneath_open(user, "/etc/passwd", &fd, &file_id) == FILE_OTHER,
              "never outside of the directory");
        close(user);
    }
}

static void test_signature(void)
{
    struct file_id first, second;
    struct timespec times[2] = {{5, 6}, {1700000000, 123456789}};
    int fd;

    utimensat(dir, "file.csv", times, 0);
    check(beneath_open(dir, "file.csv", &fd, &first) == FILE_REGULAR && first.size == 7 &&
              first.mtime == INT64_C(1700000000123456789) && first.inode != 0 && first.ctime > 0,
          "size and times");
    check((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "no child inherits it");
    check(beneath_stat(dir, "file.csv", &second) == FILE_REGULAR &&
              file_id_equal(&first, &second) && file_id_of_fd(fd, &second) == FILE_REGULAR &&
              file_id_equal(&first, &second),
          "the same by name and by descriptor");
    check(beneath_stat(dir, "hard.csv", &second) == FILE_REGULAR && file_id_equal(&first, &second),
          "and by another name");
    usleep(20000);
    place_put_text(dir, "file.csv", "CONTENT");
    utimensat(dir, "file.csv", times, 0);
    check(file_id_of_fd(fd, &second) == FILE_REGULAR && second.size == first.size &&
              second.mtime == first.mtime && !file_id_equal(&first, &second),
          "rewritten with size and mtime as they were it is another");
    close(fd);
}

static void test_writer(void)
{
    struct file_id file_id;
    enum lease_state free_now;
    int fd, writer;

    beneath_open(dir, "file.csv", &fd, &file_id);
    free_now = lease_probe(fd);
    if (free_now == LEASE_UNKNOWN) {
        check(true, "leases are not to be had # SKIP");
        close(fd);
        return;
    }
    check(free_now == LEASE_NO_WRITER && lease_probe(fd) == LEASE_NO_WRITER, "nobody writes");
    writer = openat(dir, "hard.csv", O_WRONLY | O_APPEND | O_CLOEXEC);
    check(writer >= 0, "asking leaves no lease behind");
    check(lease_probe(fd) == LEASE_WRITER, "somebody has it open, by another name");
    close(writer);
    check(lease_probe(fd) == LEASE_NO_WRITER, "and closed it");
    check(lease_hold(fd) == LEASE_NO_WRITER && !lease_is_breaking(fd), "held");
    writer = openat(dir, "file.csv", O_RDONLY | O_CLOEXEC);
    check(writer >= 0 && !lease_is_breaking(fd), "others may read");
    close(writer);
    check(openat(dir, "hard.csv", O_WRONLY | O_NONBLOCK | O_CLOEXEC) < 0 && errno == EAGAIN &&
              lease_is_breaking(fd),
          "who wants to write has to wait, and is noticed");
    lease_release(fd);
    writer = openat(dir, "hard.csv", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    check(writer >= 0, "and goes on when it is released");
    check(lease_hold(fd) == LEASE_WRITER, "what is written to cannot be held");
    close(writer);
    close(fd);
    check(lease_probe(-1) == LEASE_UNKNOWN, "of nothing nothing is known");
}

/* Two names change what they stand for, again and again, until the process is ended. */
static void swap_for_ever(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        renameat2(dir, "swapped.csv", dir, ".link", RENAME_EXCHANGE);
        renameat2(dir, "swapped", dir, ".links", RENAME_EXCHANGE);
    }
}

/* Opened while it is swapped for a link, the name is never what that leads to. */
static bool opens_only(const char *name, ino_t inode)
{
    unsigned opened = 0, refused = 0;
    struct file_id file_id;
    int fd;

    while (opened < 2000 || refused < 2000) {
        if (beneath_open(dir, name, &fd, &file_id) != FILE_REGULAR) {
            refused++;
            continue;
        }
        opened++;
        close(fd);
        if (file_id.inode != inode)
            return false;
    }
    return true;
}

static void test_swapped(void)
{
    struct stat file, below;
    pid_t child = fork();

    if (child == 0)
        swap_for_ever();
    /* Under either name, it is the file that is no link. */
    if (fstatat(dir, "kept.csv", &file, 0) < 0 || fstatat(dir, "kept", &below, 0) < 0)
        abort();
    check(opens_only("swapped.csv", file.st_ino),
          "what is swapped for a link: the file or nothing");
    check(opens_only("swapped/x.csv", below.st_ino), "a directory that is, too");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void make_swapped(void)
{
    place_put_text(dir, "secret", "secret");
    place_put_text(dir, "swapped.csv", "a,b\n1,2");
    if (mkdirat(dir, "swapped", 0777) < 0 || mkdirat(dir, ".outside", 0777) < 0)
        abort();
    place_put_text(dir, "swapped/x.csv", "a,b\n1,2");
    place_put_text(dir, ".outside/x.csv", "secret");
    if (symlinkat("secret", dir, ".link") < 0 || symlinkat(".outside", dir, ".links") < 0 ||
        linkat(dir, "swapped.csv", dir, "kept.csv", 0) < 0 ||
        linkat(dir, "swapped/x.csv", dir, "kept", 0) < 0)
        abort();
}

static void remove_swapped(void)
{
    static const char *const links[] = {"swapped.csv", ".link", "kept.csv", "kept", "secret"};
    size_t i;

    unlinkat(dir, ".outside/x.csv", 0);
    unlinkat(dir, ".outside", AT_REMOVEDIR);
    unlinkat(dir, "swapped/x.csv", 0);
    unlinkat(dir, ".links/x.csv", 0);
    for (i = 0; i < sizeof links / sizeof *links; i++)
        unlinkat(dir, links[i], 0);
    if (unlinkat(dir, "swapped", 0) < 0)
        unlinkat(dir, "swapped", AT_REMOVEDIR);
    if (unlinkat(dir, ".links", 0) < 0)
        unlinkat(dir, ".links", AT_REMOVEDIR);
}

/* Kernels and sandboxes without openat2: the call fails so, and everything must be as before. */
static void without_openat2(int error, const char *what)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
            _exit(77);
        if (syscall(SYS_openat2, dir, ".", NULL, 0) == 0 || errno != error)
            _exit(77); /* valgrind does not know it either */
        if (freopen("/dev/null", "w", stdout) == NULL)
            _exit(79);
        unit_failures = 0;
        test_kinds();
        test_swapped();
        _exit(unit_failures);
    }
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        check(true, "system calls cannot be filtered here # SKIP");
    else
        check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the same where openat2 %s (%d)", what,
              status);
}

/* ---- scanning ----------------------------------------------------------------------------- */

static struct buffer said;
static unsigned wrong;

/* Words for what is found, in the order of the names. */
static void found(void *context, const char *name, enum file_kind kind,
                  const struct file_id *file_id)
{
    wrong += context != &said;
    if (kind == FILE_REGULAR && file_id->size == 7)
        buffer_printf(&said, "%s\n", name);
    else
        buffer_printf(&said, "%s:%d\n", name, kind);
}

static void enter(void *context, const char *name, int fd)
{
    struct stat st;

    wrong += context != &said || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode);
    buffer_printf(&said, "%s/\n", name);
}

static int compare_lines(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* What a scan says, sorted, in one line. */
static const char *scan(const char *under, bool recursive, uint64_t *ret_ignored)
{
    struct drop_scan_request order = {
        .under = under, .recursive = recursive, .enter = enter, .found = found, .context = &said};
    static struct buffer out;
    char *lines[64], *line;
    size_t count = 0, i;
    int result;

    buffer_clear(&said);
    buffer_clear(&out);
    wrong = 0;
    result = drop_scan(dir, &order, ret_ignored, &cause);
    check(result == 0 && wrong == 0, "a scan of %s ends with %d", under ? under : "all", result);
    buffer_text(&said);
    for (line = strtok(said.data, "\n"); line != NULL && count < 64; line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare_lines);
    for (i = 0; i < count; i++)
        buffer_printf(&out, "%s%s", i > 0 ? " " : "", lines[i]);
    return buffer_text(&out);
}

static void test_scan(void)
{
    static const struct drop_scan_request nothing = {.found = found, .context = &said};
    uint64_t ignored = 99;

    place_put_text(dir, ".hidden.csv", "x");
    place_put_text(dir, "note.txt", "x");
    mkdirat(dir, ".~tmp~", 0777);
    place_put_text(dir, ".~tmp~/in.csv", "content");
    mkdirat(dir, "lost+found", 0777);
    place_put_text(dir, "directory.csv/a.csv", "content");
    check_text(
        scan(NULL, false, &ignored),
        "/ dangling.csv:2 fifo.csv:2 file.csv hard.csv link.csv:2 outside.csv:2 socket.csv:2",
        "a scan finds files and what only looks like them");
    check(ignored == 7, "and counts the names that do not count: %d", (int)ignored);
    check_text(scan(NULL, true, &ignored),
               "/ dangling.csv:2 directory.csv/ directory.csv/a.csv fifo.csv:2 file.csv hard.csv "
               "link.csv:2 outside.csv:2 socket.csv:2 user/ user/deep/ user/deep/er/ "
               "user/deep/er/in.csv user/deep/link.csv:2 user/in.csv:0",
               "in directories too, but not behind links, nor in hidden ones");
    check(ignored == 6, "whose names do not count: %d", (int)ignored);
    check_text(scan("user/deep", true, &ignored),
               "user/deep/ user/deep/er/ user/deep/er/in.csv user/deep/link.csv:2",
               "one directory alone, with what is below it");
    check_text(scan("user/none", true, &ignored), "", "one that is not there");
    check_text(scan("linked", true, &ignored), "", "a link is none");
    check_text(scan("file.csv", true, &ignored), "", "nor is a file");
    check(drop_scan(-1, &nothing, &ignored, &cause) < 0 && cause.kind == CAUSE_RETRY,
          "where there is nothing to scan: %s", cause.text);
}

/* As deep as is looked into, and one more; and a path as long, and longer. */
static void test_limits(void)
{
    char path[1200] = "deep", want[2400] = "deep/", name[260];
    uint64_t ignored;
    int i, fd;

    mkdirat(dir, path, 0777);
    for (i = 2; i <= BENEATH_DEPTH + 2; i++) {
        strcat(path, "/d");
        mkdirat(dir, path, 0777);
        if (i <= BENEATH_DEPTH)
            sprintf(want + strlen(want), " %s/", path);
        else if (i == BENEATH_DEPTH + 1)
            sprintf(want + strlen(want), " %s:%d", path, FILE_OTHER);
    }
    strcat(path, "/in.csv");
    place_put_text(dir, path, "content");
    check_text(scan("deep", true, &ignored), want, "so deep and no deeper");

    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "%s/%s/%s", name, name, name);
    path[BENEATH_DIRECTORY_BYTES + 1] = '\0';
    for (i = 255; i > 0; i = i == 255 ? 511 : i == 511 ? BENEATH_DIRECTORY_BYTES + 1 : 0) {
        char part[1200];

        snprintf(part, sizeof part, "%.*s", i, path);
        if (mkdirat(dir, part, 0777) < 0)
            abort();
    }
    check(beneath_open_dir(dir, path, &fd) == FILE_OTHER, "too long a path is not entered");
    path[BENEATH_DIRECTORY_BYTES] = '\0';
    mkdirat(dir, path, 0777);
    check(beneath_open_dir(dir, path, &fd) == FILE_DIRECTORY, "one byte less is");
    close(fd);
    snprintf(want, sizeof want, "%.511s/ %.700s/ %.700sn:%d", path, path, path, FILE_OTHER);
    check_text(scan(name, true, &ignored) + 257, want, "and so for a scan");
}

static void test_permission(void)
{
    struct file_id file_id;
    uint64_t ignored;
    int fd;

    if (geteuid() != 0 || chmod(place, 0755) < 0 || fchmodat(dir, "user/deep", 0700, 0) < 0 ||
        fchmodat(dir, "file.csv", 0600, 0) < 0 || seteuid(65534) < 0) {
        check(true, "it takes root to become somebody else # SKIP");
        return;
    }
    check(beneath_stat(dir, "file.csv", &file_id) == FILE_REGULAR &&
              beneath_open(dir, "file.csv", &fd, &file_id) == FILE_UNREADABLE,
          "a file without permission");
    check(beneath_open(dir, "user/in.csv", &fd, &file_id) == FILE_REGULAR &&
              lease_probe(fd) == LEASE_UNKNOWN,
          "of another's file nobody tells who writes");
    close(fd);
    check_text(scan("user", true, &ignored), "user/ user/deep:4 user/in.csv:0",
               "a directory without permission is found as such");
    if (seteuid(0) < 0)
        abort();
}

int main(void)
{
    alarm(300);
    signal(SIGIO, SIG_IGN);
    umask(022);
    dir = place_enter();
    test_names();
    test_suffixes();
    make_odd_things();
    test_kinds();
    make_swapped();
    test_swapped();
    without_openat2(ENOSYS, "is not known");
    without_openat2(EPERM, "is forbidden");
    remove_swapped();
    test_signature();
    test_writer();
    test_scan();
    test_limits();
    test_permission();
    buffer_free(&said);
    close(dir);
    return unit_done();
}
