#include "fs/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- capabilities ---- */

/* CAP_LEASE allows a read lease on another user's file, CAP_DAC_READ_SEARCH reading one without
 * permission. A process that stays root (--allow-root) keeps its rights in directories of others.
 */
static const struct {
    int number;
    bool root_only;
    const char *name;
} kept_capabilities[] = {
    {CAP_LEASE, false, "CAP_LEASE"},
    {CAP_DAC_READ_SEARCH, false, "CAP_DAC_READ_SEARCH"},
    {CAP_DAC_OVERRIDE, true, "CAP_DAC_OVERRIDE"},
    {CAP_FOWNER, true, "CAP_FOWNER"},
};

static bool drop_capabilities(struct buffer *said)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}};
    uint64_t keep = 0, have;
    const char *before = "; capabilities: ";
    size_t i;
    int number;

    for (i = 0; i < sizeof kept_capabilities / sizeof *kept_capabilities; i++)
        if (!kept_capabilities[i].root_only || geteuid() == 0)
            keep |= UINT64_C(1) << kept_capabilities[i].number;
    /* Fails without CAP_SETPCAP, and is not needed then: new privileges are given up, too. */
    for (number = 0; number < 64; number++)
        if ((keep >> number & 1) == 0)
            prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    if (syscall(SYS_capget, &header, sets) < 0)
        return false;
    have = ((uint64_t)sets[1].permitted << 32 | sets[0].permitted) & keep;
    for (i = 0; i < 2; i++) {
        sets[i].permitted = sets[i].effective = (uint32_t)(have >> (32 * i));
        sets[i].inheritable = 0; /* empties the ambient set as well */
    }
    if (syscall(SYS_capset, &header, sets) < 0)
        return false;
    for (i = 0; i < sizeof kept_capabilities / sizeof *kept_capabilities; i++) {
        if ((have >> kept_capabilities[i].number & 1) == 0)
            continue;
        buffer_printf(said, "%s%s", before, kept_capabilities[i].name);
        before = ", ";
    }
    if (have == 0)
        buffer_string(said, "; no capabilities");
    return true;
}

/* ---- Landlock ---- */

/* The kernel's numbers of later versions: Debian 12's header ends with version 2. */
#define ACCESS_TRUNCATE     (UINT64_C(1) << 14) /* version 3 */
#define ACCESS_IOCTL_DEV    (UINT64_C(1) << 15) /* version 5 */
#define ACCESS_BIND_TCP     (UINT64_C(1) << 0)  /* version 4 */
#define ACCESS_CONNECT_TCP  (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0) /* version 6 */
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)

/* The kernel's struct landlock_ruleset_attr. Older kernels accept it if the fields that they do not
 * know are 0. */
struct ruleset {
    uint64_t files, network, scopes;
};

#define ACCESS_READ LANDLOCK_ACCESS_FS_READ_FILE

/* MAKE_FIFO and MAKE_SYM: a move takes whatever has the name at that moment. */
#define ACCESS_OWN                                                                                 \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                   \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                              \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_FIFO |    \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE)

/* Version 1 forbids every move between directories. */
#define OLDEST_VERSION 2

static struct ruleset all_of(long version)
{
    struct ruleset all = {.files = LANDLOCK_ACCESS_FS_REFER * 2 - 1};

    if (version >= 3)
        all.files |= ACCESS_TRUNCATE;
    if (version >= 4)
        all.network = ACCESS_BIND_TCP | ACCESS_CONNECT_TCP;
    if (version >= 5)
        all.files |= ACCESS_IOCTL_DEV;
    if (version >= 6)
        all.scopes = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    return all;
}

static bool allow(int ruleset, uint64_t access, int fd)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

/* Allow access below the path, if it exists and can be reached now. */
static bool allow_path(int ruleset, uint64_t access, const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    bool allowed;

    if (fd < 0)
        return true;
    allowed = allow(ruleset, access, fd);
    close(fd);
    return allowed;
}

/* Allow reading in the directory of each file, and in that of the file that it is a link to. */
static bool allow_read_again(int ruleset, const char *const *files)
{
    bool allowed = true;
    char *path;
    int link;

    for (; *files != NULL && allowed; files++)
        for (link = 0; link < 2 && allowed; link++) {
            path = link ? realpath(*files, NULL) : strdup(*files);
            allowed = path == NULL || allow_path(ruleset, ACCESS_READ, dirname(path));
            free(path);
        }
    return allowed;
}

/* If the drop directory is a link, allow the directory that contains its target: the target may be
 * removed and created again. */
static bool allow_linked_drop(int ruleset, uint64_t access, const char *drop_path,
                              struct buffer *said)
{
    char *target, *parent;
    struct stat st;
    bool allowed = true;

    if (lstat(drop_path, &st) < 0 || !S_ISLNK(st.st_mode))
        return true;
    target = realpath(drop_path, NULL);
    if (target != NULL) {
        parent = strrchr(target, '/');
        if (parent != target)
            *parent = '\0';
        allowed = allow_path(ruleset, access, target);
        buffer_printf(said, " and %s", target);
        free(target);
    }
    return allowed;
}

static bool allow_own(int ruleset, uint64_t access, const int *own, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (!allow(ruleset, access, own[i]))
            return false;
#ifdef SANDBOX_ALSO /* the files that a sanitizer or a profiler reads, and writes at the end */
    return allow_path(ruleset, access, SANDBOX_ALSO);
#else
    return true;
#endif
}

/* Confine the process to its directories, and append that to `said`. */
static bool confine_files(const struct sandbox_access *access, struct buffer *said)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset all = all_of(version);
    int ruleset, boot;
    bool confined;

    if (version < OLDEST_VERSION) {
        buffer_printf(said, "; files: not confined, the kernel's Landlock is %s",
                      version < 0 ? "not there" : "too old");
        return false;
    }
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    /* Never closed: /proc forgets an inode that is not open, and the rule with it. */
    boot = open("/proc/sys/kernel/random/boot_id", O_PATH | O_CLOEXEC);
    buffer_printf(said, "; files: the configuration, and those below %s", access->own_path);
    confined = ruleset >= 0 &&
               allow_own(ruleset, ACCESS_OWN & all.files, access->own, access->own_count) &&
               allow_linked_drop(ruleset, ACCESS_OWN & all.files, access->drop_path, said) &&
               (boot < 0 || allow(ruleset, ACCESS_READ, boot)) &&
               allow_read_again(ruleset, access->read_again) &&
               syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    if (!confined)
        buffer_printf(said, ": failed, %s", strerror(errno));
    else if (all.network != 0)
        buffer_string(said, "; no TCP");
    if (ruleset >= 0)
        close(ruleset);
    return confined;
}

bool sandbox_enter(const struct sandbox_access *access, struct buffer *said)
{
    bool locked = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;

    buffer_string(said, locked ? "no new privileges" : "new privileges: not given up");
    if (!drop_capabilities(said))
        buffer_string(said, "; capabilities: not given up");
    return locked && confine_files(access, said);
}
