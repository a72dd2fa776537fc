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

/* ---- Capabilities ------------------------------------------------------------------------- */

/* A read lease on a stranger's file; a stranger's file that is closed to us. Root, who was told to
 * stay root, also keeps what makes it root in directories of others. */
static const struct {
    int number;
    bool root;
    const char *name;
} kept[] = {
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

    for (i = 0; i < sizeof kept / sizeof *kept; i++)
        if (!kept[i].root || geteuid() == 0)
            keep |= UINT64_C(1) << kept[i].number;
    /* Only who has CAP_SETPCAP may and need do this; without new privileges it is one lock more. */
    for (number = 0; number < 64; number++)
        if ((keep >> number & 1) == 0)
            prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    if (syscall(SYS_capget, &header, sets) < 0)
        return false;
    have = ((uint64_t)sets[1].permitted << 32 | sets[0].permitted) & keep;
    for (i = 0; i < 2; i++) {
        sets[i].permitted = sets[i].effective = (uint32_t)(have >> (32 * i));
        sets[i].inheritable = 0; /* which empties the ambient set as well */
    }
    if (syscall(SYS_capset, &header, sets) < 0)
        return false;
    for (i = 0; i < sizeof kept / sizeof *kept; i++) {
        if ((have >> kept[i].number & 1) == 0)
            continue;
        buffer_printf(said, "%s%s", before, kept[i].name);
        before = ", ";
    }
    if (have == 0)
        buffer_string(said, "; no capabilities");
    return true;
}

/* ---- Landlock ----------------------------------------------------------------------------- */

/* Debian 12's header ends with version 2; the numbers are the kernel's. */
#define ACCESS_TRUNCATE     (UINT64_C(1) << 14) /* version 3 */
#define ACCESS_IOCTL_DEV    (UINT64_C(1) << 15) /* version 5 */
#define ACCESS_BIND_TCP     (UINT64_C(1) << 0)  /* version 4 */
#define ACCESS_CONNECT_TCP  (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0) /* version 6 */
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)

/* Older kernels take it as well, where what they do not know is 0. */
struct ruleset {
    uint64_t files, network, scopes;
};

#define ACCESS_READ LANDLOCK_ACCESS_FS_READ_FILE

/* A move takes whatever stands under a name at that moment, a link or a FIFO too. */
#define ACCESS_OWN                                                                                 \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                   \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                              \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_FIFO |    \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE)

/* Version 1 forbids every move between directories; we would have to copy. */
#define OLDEST 2

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

/* What we cannot reach now needs no rule. */
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

static bool allow_read(int ruleset, const char *const *files)
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

/* Where the drop directory lies, if it is a link: there it may be made anew. */
static bool allow_linked_drop(int ruleset, uint64_t access, const struct datadir *dir,
                              struct buffer *said)
{
    struct buffer path = {0};
    char *target, *parent;
    struct stat st;
    bool allowed = true;

    if (fstatat(dir->root, DATADIR_DROP, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode))
        return true;
    buffer_printf(&path, "%s/" DATADIR_DROP, dir->path);
    target = buffer_failed(&path) ? NULL : realpath(buffer_text(&path), NULL);
    if (target != NULL) {
        parent = strrchr(target, '/');
        if (parent != target)
            *parent = '\0';
        allowed = allow_path(ruleset, access, target);
        buffer_printf(said, " and %s", target);
        free(target);
    }
    buffer_free(&path);
    return allowed;
}

/* Each may be a link to elsewhere; those that are not lie below the root one. */
static bool allow_own(int ruleset, uint64_t access, const struct datadir *dir)
{
    const int own[] = {dir->root,  dir->quarantine, dir->archive, dir->stats,
                       dir->state, dir->moving,     dir->cut};
    size_t i;

    for (i = 0; i < sizeof own / sizeof *own; i++)
        if (!allow(ruleset, access, own[i]))
            return false;
#ifdef SANDBOX_ALSO /* what a sanitizer or a profiler reads and writes at the end */
    return allow_path(ruleset, access, SANDBOX_ALSO);
#else
    return true;
#endif
}

static bool confine(const struct datadir *dir, const char *const *files, struct buffer *said)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset all = all_of(version);
    int ruleset, boot;
    bool confined;

    if (version < OLDEST) {
        buffer_printf(said, "; files: not confined, the kernel's Landlock is %s",
                      version < 0 ? "not there" : "too old");
        return false;
    }
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    /* Held for life: /proc forgets the inode of what nobody has open, and the rule with it. */
    boot = open("/proc/sys/kernel/random/boot_id", O_PATH | O_CLOEXEC);
    buffer_printf(said, "; files: the configuration, and those below %s", dir->path);
    confined = ruleset >= 0 && allow_own(ruleset, ACCESS_OWN & all.files, dir) &&
               allow_linked_drop(ruleset, ACCESS_OWN & all.files, dir, said) &&
               (boot < 0 || allow(ruleset, ACCESS_READ, boot)) && allow_read(ruleset, files) &&
               syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    if (!confined)
        buffer_printf(said, ": failed, %s", strerror(errno));
    else if (all.network != 0)
        buffer_string(said, "; no TCP");
    if (ruleset >= 0)
        close(ruleset);
    return confined;
}

bool sandbox_enter(const struct datadir *dir, const char *const *files, struct buffer *said)
{
    bool locked = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;

    buffer_string(said, locked ? "no new privileges" : "new privileges: not given up");
    if (!drop_capabilities(said))
        buffer_string(said, "; capabilities: not given up");
    return locked && confine(dir, files, said);
}
