#include "spool.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "place.h"
#include "unit.h"

static int dir;
static struct cause cause;

static void test_names(void)
{
    static const char *const good[] = {"a.csv",  "A.CSV",    "x.CsV",     "a..csv",  " .csv",
                                       "\n.csv", "\xFF.csv", "a.csv.csv", "-rf.csv", "%.csv"};
    static const char *const bad[] = {"",       ".",         "..",         ".csv",
                                      ".a.csv", "a.csv~",    "a.csv.part", "a.csv.filepart",
                                      "acsv",   "csv",       "a.cs",       ".a.csv.XXXXXX",
                                      "a.csv ", "sedXXXXXX", "a.csv.gz",   "..csv"};
    size_t i;

    for (i = 0; i < sizeof good / sizeof *good; i++)
        check(spool_name_counts(good[i]), "'%s' counts", good[i]);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!spool_name_counts(bad[i]), "'%s' does not", bad[i]);
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
        enum spool_kind look, open;
    } kinds[] = {
        {"file.csv", SPOOL_FILE, SPOOL_FILE},
        {"hard.csv", SPOOL_FILE, SPOOL_FILE},
        {"user/in.csv", SPOOL_FILE, SPOOL_FILE},
        {"none.csv", SPOOL_GONE, SPOOL_GONE},
        {"link.csv", SPOOL_OTHER, SPOOL_OTHER},
        {"dangling.csv", SPOOL_OTHER, SPOOL_OTHER},
        {"outside.csv", SPOOL_OTHER, SPOOL_OTHER},
        {"fifo.csv", SPOOL_OTHER, SPOOL_OTHER},
        {"socket.csv", SPOOL_OTHER, SPOOL_OTHER},
        {"directory.csv", SPOOL_DIRECTORY, SPOOL_DIRECTORY},
        {"linked/in.csv", SPOOL_FILE, SPOOL_OTHER},
    };
    struct signature signature;
    size_t i;
    int fd;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        enum spool_kind kind;

        check(spool_look(dir, kinds[i].name, &signature) == kinds[i].look, "%s: what it is",
              kinds[i].name);
        fd = -5;
        kind = spool_open(dir, kinds[i].name, &fd, &signature);
        check(kind == kinds[i].open && (kind == SPOOL_FILE) == (fd >= 0) &&
                  (kind == SPOOL_FILE || fd == -5),
              "%s: opened only if it is a file", kinds[i].name);
        if (fd >= 0)
            close(fd);
    }
    {
        int user = openat(dir, "user", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        check(spool_open(user, "../file.csv", &fd, &signature) == SPOOL_OTHER &&
                  spool_open(user, "/etc/passwd", &fd, &signature) == SPOOL_OTHER,
              "never outside of the directory");
        close(user);
    }
}

static void test_signature(void)
{
    struct signature first, second;
    struct timespec times[2] = {{5, 6}, {1700000000, 123456789}};
    int fd;

    utimensat(dir, "file.csv", times, 0);
    check(spool_open(dir, "file.csv", &fd, &first) == SPOOL_FILE && first.size == 7 &&
              first.mtime == INT64_C(1700000000123456789) && first.inode != 0 && first.ctime > 0,
          "size and times");
    check((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "no child inherits it");
    check(spool_look(dir, "file.csv", &second) == SPOOL_FILE && signature_equal(&first, &second) &&
              spool_signature(fd, &second) == SPOOL_FILE && signature_equal(&first, &second),
          "the same by name and by descriptor");
    check(spool_look(dir, "hard.csv", &second) == SPOOL_FILE && signature_equal(&first, &second),
          "and by another name");
    usleep(20000);
    place_put_text(dir, "file.csv", "CONTENT");
    utimensat(dir, "file.csv", times, 0);
    check(spool_signature(fd, &second) == SPOOL_FILE && second.size == first.size &&
              second.mtime == first.mtime && !signature_equal(&first, &second),
          "rewritten with size and mtime as they were it is another");
    close(fd);
}

static void test_writer(void)
{
    struct signature signature;
    enum spool_writer free_now;
    int fd, writer;

    spool_open(dir, "file.csv", &fd, &signature);
    free_now = spool_writer(fd);
    if (free_now == SPOOL_WRITER_UNKNOWN) {
        check(true, "leases are not to be had # SKIP");
        close(fd);
        return;
    }
    check(free_now == SPOOL_NO_WRITER && spool_writer(fd) == SPOOL_NO_WRITER, "nobody writes");
    writer = openat(dir, "hard.csv", O_WRONLY | O_APPEND | O_CLOEXEC);
    check(writer >= 0, "asking leaves no lease behind");
    check(spool_writer(fd) == SPOOL_WRITER, "somebody has it open, by another name");
    close(writer);
    check(spool_writer(fd) == SPOOL_NO_WRITER, "and closed it");
    close(fd);
    check(spool_writer(-1) == SPOOL_WRITER_UNKNOWN, "of nothing nothing is known");
}

/* ---- scanning ---------------------------------------------------------------------------------
 */

static unsigned files, others, wrong;

static void found(void *context, const char *name, enum spool_kind kind,
                  const struct signature *signature)
{
    files += kind == SPOOL_FILE;
    others += kind == SPOOL_OTHER;
    wrong += context != &files || !spool_name_counts(name) ||
             (kind != SPOOL_FILE && kind != SPOOL_OTHER) ||
             (kind == SPOOL_FILE && signature->size != 7);
}

static void test_scan(void)
{
    uint64_t ignored = 99;

    place_put_text(dir, ".hidden.csv", "x");
    place_put_text(dir, "note.txt", "x");
    check(spool_scan(dir, SPOOL_SIGNATURES, found, &files, &ignored, &cause) == 0 && files == 2 &&
              others == 5 && wrong == 0,
          "a scan finds files and what only looks like them: %u, %u", files, others);
    check(ignored == 5, "and counts the names that do not count: %d", (int)ignored);
    files = others = 0;
    check(spool_scan(dir, SPOOL_SIGNATURES, found, &files, &ignored, &cause) == 0 && files == 2,
          "also the second time");
    check(spool_scan(-1, SPOOL_SIGNATURES, found, &files, &ignored, &cause) < 0 &&
              cause.kind == CAUSE_TROUBLE,
          "where there is nothing to scan: %s", cause.text);
}

static void test_permission(void)
{
    struct signature signature;
    int fd;

    if (geteuid() != 0 || chmod(place, 0755) < 0 || fchmodat(dir, "file.csv", 0600, 0) < 0 ||
        seteuid(65534) < 0) {
        check(true, "it takes root to become somebody else # SKIP");
        return;
    }
    check(spool_look(dir, "file.csv", &signature) == SPOOL_FILE &&
              spool_open(dir, "file.csv", &fd, &signature) == SPOOL_UNREADABLE,
          "a file without permission");
    check(spool_open(dir, "user/in.csv", &fd, &signature) == SPOOL_FILE &&
              spool_writer(fd) == SPOOL_WRITER_UNKNOWN,
          "of another's file nobody tells who writes");
    close(fd);
    if (seteuid(0) < 0)
        abort();
}

int main(void)
{
    alarm(60);
    signal(SIGIO, SIG_IGN);
    umask(022);
    dir = place_enter();
    test_names();
    make_odd_things();
    test_kinds();
    test_signature();
    test_writer();
    test_scan();
    test_permission();
    close(dir);
    return unit_done();
}
