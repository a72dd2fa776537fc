#include "fs/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir; /* the place, opened before sandbox_enter */
static struct {
    int root, quarantine, moving;
} data;
static struct sockaddr_in listener = {.sin_family = AF_INET};

static const char *in_place(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", place, name);
    return path;
}

/* Open the file. Return 0, or errno. */
static int opened(const char *name, int flags)
{
    int fd = open(name[0] == '/' ? name : in_place(name), flags | O_CLOEXEC, 0666);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int code(int result)
{
    return result < 0 ? errno : 0;
}

/*
 * data/ with user_data -> far/drop and quarantine -> far/quarantine; etc/a.ini, and etc/b.ini a
 * link to else/b.ini; outside/secret.
 */
static void build(void)
{
    static const char *const directories[] = {
        "data", "far",  "far/drop", "far/quarantine", "data/state",
        "etc",  "else", "outside",  "data/here",      "data/state/moving"};
    size_t i;

    for (i = 0; i < sizeof directories / sizeof *directories; i++)
        mkdirat(dir, directories[i], 0777);
    if (symlinkat("../far/drop", dir, "data/user_data") < 0 ||
        symlinkat("../far/quarantine", dir, "data/quarantine") < 0 ||
        symlinkat("../else/b.ini", dir, "etc/b.ini") < 0)
        abort();
    place_put_text(dir, "etc/a.ini", "a");
    place_put_text(dir, "else/b.ini", "b");
    place_put_text(dir, "outside/secret", "secret");
    place_put_text(dir, "data/here/x.csv", "x");
    data.root = openat(dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    data.quarantine = openat(dir, "data/quarantine", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    data.moving = openat(dir, "data/state/moving", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data.root < 0 || data.quarantine < 0 || data.moving < 0)
        abort();
}

static int listen_on_loopback(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof listener;

    listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&listener, len) < 0 || listen(fd, 4) < 0 ||
        getsockname(fd, (struct sockaddr *)&listener, &len) < 0)
        abort();
    return fd;
}

static int connected(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

    result = code(connect(fd, (struct sockaddr *)&listener, sizeof listener));
    close(fd);
    return result;
}

static int executed(const char *path)
{
    char *const arguments[] = {(char *)path, NULL};
    int status;
    pid_t child = fork();

    if (child == 0) {
        execv(path, arguments);
        _exit(errno);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_own(void)
{
    check(opened("data/new", O_WRONLY | O_CREAT) == 0, "a file in its own directory is created");
    check(opened("data/new", O_WRONLY | O_TRUNC) == 0, "and truncated");
    check(code(renameat(data.root, "new", dir, "outside/new")) != 0, "but not moved elsewhere");
    check(code(renameat(data.root, "new", data.moving, "1.csv")) == 0,
          "a file is moved between its directories");
    check(code(renameat(data.moving, "1.csv", data.quarantine, "1.csv")) == 0,
          "also to a directory that is a link");
    check(code(unlinkat(data.quarantine, "1.csv", 0)) == 0, "and removed");
    check(opened("/proc/sys/kernel/random/boot_id", O_RDONLY) == 0, "the boot id is read");
}

/* Rules are bound to inodes, so the directory above a new one must carry the rule. */
static void test_drop(void)
{
    int drop;

    check(opened("data/user_data/a.csv", O_WRONLY | O_CREAT) == 0,
          "a file is created in a drop directory that is a link");
    unlinkat(dir, "far/drop/a.csv", 0);
    check(code(unlinkat(dir, "far/drop", AT_REMOVEDIR)) == 0 &&
              code(mkdirat(dir, "far/drop", 0777)) == 0 &&
              opened("data/user_data/a.csv", O_WRONLY | O_CREAT) == 0,
          "also after the target of the link was created again");
    drop = open(in_place("data/user_data"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(code(renameat(drop, "a.csv", data.moving, "2.csv")) == 0, "files are moved out of it");
    close(drop);
    check(code(unlinkat(data.root, "here/x.csv", 0)) == 0 &&
              code(unlinkat(data.root, "here", AT_REMOVEDIR)) == 0 &&
              code(mkdirat(data.root, "here", 0777)) == 0 &&
              opened("data/here/x.csv", O_WRONLY | O_CREAT) == 0,
          "a directory below the data directory may be created again, too");
}

static void test_configuration(void)
{
    check(opened("etc/a.ini", O_RDONLY) == 0, "the configuration is read again");
    check(opened("etc/b.ini", O_RDONLY) == 0, "also through a link");
    check(opened("etc/a.ini", O_WRONLY) == EACCES, "it is not written");
    check(opened("etc/c.ini", O_WRONLY | O_CREAT) == EACCES, "no file is created beside it");
    check(opened("etc", O_RDONLY | O_DIRECTORY) == EACCES, "its directory is not listed");
}

static void test_outside(void)
{
    check(opened("outside/secret", O_RDONLY) == EACCES, "a file outside is not read");
    check(opened("outside/new", O_WRONLY | O_CREAT) == EACCES, "no file is created outside");
    check(opened("/etc/passwd", O_RDONLY) == EACCES, "/etc/passwd is not read");
    check(opened("/", O_RDONLY | O_DIRECTORY) == EACCES, "no directory outside is listed");
    check(code(unlinkat(dir, "outside/secret", 0)) == EACCES, "no file outside is removed");
    check(code(renameat(dir, "outside/secret", data.root, "secret")) != 0, "or moved inside");
    check(code(symlinkat("../outside/secret", dir, "data/link")) == 0 &&
              opened("data/link", O_RDONLY) == EACCES,
          "it is not read through a link");
    check(executed("/bin/true") == EACCES, "no program is executed");
}

static void test_network(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (version < 4) {
        check(true, "skipped: TCP (the kernel's Landlock does not know it)");
    } else {
        check(connected() == EACCES, "no TCP connection is made");
        check(code(bind(fd, (struct sockaddr *)&any, sizeof any)) == EACCES,
              "no TCP port is bound");
    }
    close(fd);
    if (version < 6)
        check(true, "skipped: signals to others (the kernel's Landlock does not know them)");
    else
        check(code(kill(getppid(), 0)) == EPERM, "no signal reaches another process");
}

static void test_privileges(const char *said)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    uint64_t useful = 1U << CAP_LEASE | 1U << CAP_DAC_READ_SEARCH, have;

    if (geteuid() == 0)
        useful |= 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER;
    syscall(SYS_capget, &header, sets);
    have = (uint64_t)sets[1].permitted << 32 | sets[0].permitted;
    check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "there are no new privileges");
    check((have & ~useful) == 0, "only the useful capabilities are left");
    check(sets[0].inheritable == 0 && sets[1].inheritable == 0, "no capability is inheritable");
    check(geteuid() != 0 || prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 1,
          "the bounding set has no other capability");
    check((have >> CAP_LEASE & 1) == (strstr(said, "CAP_LEASE") != NULL),
          "the message names the capabilities that are kept");
    check(geteuid() != 0 || mount("none", in_place("data"), "tmpfs", 0, NULL) != 0,
          "root cannot mount any more");
}

static int run(void)
{
    const char *const files[] = {"etc/a.ini", "etc/b.ini", "missing/c.ini", NULL};
    const int own[] = {data.root, data.quarantine};
    char own_path[256], drop_path[256];
    struct sandbox_access access = {own, 2, own_path, drop_path, files};
    struct buffer said = {0};
    bool confined;
    int listening = listen_on_loopback();

    check(connected() == 0, "a TCP connection is made before");
    if (chdir(place) < 0)
        abort();
    snprintf(own_path, sizeof own_path, "%s", in_place("data"));
    snprintf(drop_path, sizeof drop_path, "%s", in_place("data/user_data"));
    confined = sandbox_enter(&access, &said);
    printf("# %s\n", buffer_text(&said));
    test_privileges(buffer_text(&said));
    if (confined) {
        check(strstr(buffer_text(&said), place) != NULL, "the message names the data directory");
        test_own();
        test_drop();
        test_configuration();
        test_outside();
        test_network();
    } else {
        check(strstr(buffer_text(&said), "not confined") != NULL,
              "the message says that there is no Landlock");
        check(true, "skipped: Landlock (the kernel has none)");
    }
    buffer_free(&said);
    close(listening);
    return unit_done();
}

/* Run the tests in a child: the parent needs its rights to clean up. */
int main(void)
{
    int status = 0, result;
    pid_t child;

    dir = place_enter();
    build();
    child = fork();
    if (child == 0) {
        result = run();
        fflush(stdout);
        close(dir);
        _exit(result);
    }
    waitpid(child, &status, 0);
    close(dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
