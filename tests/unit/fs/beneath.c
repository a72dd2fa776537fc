#include "fs/beneath.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/odd_files.h"
#include "lib/place.h"
#include "lib/unit.h"

static int dir;

static void test_kinds(void)
{
    static const struct {
        const char *name;
        enum file_kind stat, open;
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

        check(beneath_stat(dir, kinds[i].name, &file_id) == kinds[i].stat, "%s: its kind",
              kinds[i].name);
        fd = -5;
        kind = beneath_open(dir, kinds[i].name, &fd, &file_id);
        check(kind == kinds[i].open && (kind == FILE_REGULAR) == (fd >= 0) &&
                  (kind == FILE_REGULAR || fd == -5),
              "%s: opened if and only if it is a regular file", kinds[i].name);
        if (fd >= 0)
            close(fd);
    }
    {
        int user = openat(dir, "user", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        check(beneath_open(user, "../file.csv", &fd, &file_id) == FILE_OTHER &&
                  beneath_open(user, "/etc/passwd", &fd, &file_id) == FILE_OTHER,
              "names that leave the directory are refused");
        close(user);
    }
}

/* Exchange two names with links, until the process is killed. */
static void exchange_names(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        renameat2(dir, "swapped.csv", dir, ".link", RENAME_EXCHANGE);
        renameat2(dir, "swapped", dir, ".links", RENAME_EXCHANGE);
    }
}

/* Open the name many times while it is exchanged with a link. Return false if another file than
 * `inode` was opened. */
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
        exchange_names();
    /* kept.csv and kept are second names of the two files that are no links. */
    if (fstatat(dir, "kept.csv", &file, 0) < 0 || fstatat(dir, "kept", &below, 0) < 0)
        abort();
    check(opens_only("swapped.csv", file.st_ino),
          "a name that is exchanged with a link opens the file or nothing");
    check(opens_only("swapped/x.csv", below.st_ino),
          "so does a name below a directory that is exchanged with a link");
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

/* Run the tests again where openat2 fails with `error`, as in old kernels and in sandboxes. */
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
            _exit(77); /* valgrind does not implement openat2 */
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
        check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "the same results where openat2 %s (%d)", what, status);
}

static void test_longest_path(void)
{
    char name[256], path[800], part[800];
    int lengths[] = {255, 511, BENEATH_DIRECTORY_BYTES, BENEATH_DIRECTORY_BYTES + 1}, fd;
    size_t i;

    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "%s/%s/%s", name, name, name);
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        snprintf(part, sizeof part, "%.*s", lengths[i], path);
        if (mkdirat(dir, part, 0777) < 0)
            abort();
    }
    path[BENEATH_DIRECTORY_BYTES + 1] = '\0';
    check(beneath_open_dir(dir, path, &fd) == FILE_OTHER,
          "a directory whose path is too long is not opened");
    path[BENEATH_DIRECTORY_BYTES] = '\0';
    check(beneath_open_dir(dir, path, &fd) == FILE_DIRECTORY, "one byte less, and it is");
    close(fd);
}

static void test_permission(void)
{
    struct file_id file_id;
    int fd;

    if (geteuid() != 0 || chmod(place, 0755) < 0 || fchmodat(dir, "user/deep", 0700, 0) < 0 ||
        fchmodat(dir, "file.csv", 0600, 0) < 0 || seteuid(65534) < 0) {
        check(true, "only root can become another user # SKIP");
        return;
    }
    check(beneath_stat(dir, "file.csv", &file_id) == FILE_REGULAR &&
              beneath_open(dir, "file.csv", &fd, &file_id) == FILE_UNREADABLE,
          "a file without permission is FILE_UNREADABLE");
    check(beneath_open_dir(dir, "user/deep", &fd) == FILE_UNREADABLE, "so is a directory");
    if (seteuid(0) < 0)
        abort();
}

int main(void)
{
    alarm(300);
    umask(022);
    dir = place_enter();
    odd_files_make(dir);
    test_kinds();
    make_swapped();
    test_swapped();
    without_openat2(ENOSYS, "is not known");
    without_openat2(EPERM, "is forbidden");
    remove_swapped();
    test_longest_path();
    test_permission();
    close(dir);
    return unit_done();
}
