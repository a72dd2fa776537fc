#include "fs/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

int privilege_drop(const char *data_dir, bool allow_root, struct cause *cause)
{
    const struct passwd *owner;
    gid_t group;
    struct stat st = {0}; /* st_uid 0: a missing directory would be created by root */
    bool missing = false;
    int groups;

    if (geteuid() != 0)
        return 0;
    if (stat(data_dir, &st) < 0) {
        if (errno != ENOENT)
            return cause_errno(cause, CAUSE_RETRY, "cannot look at the data directory %s",
                               data_dir);
        missing = true;
    }
    if (st.st_uid == 0) {
        if (allow_root)
            return 0;
        return cause_set(
            cause, CAUSE_CONFIG,
            "started as root, and the data directory %s %s root: give it to an ordinary user "
            "(chown -R USER: %s), or say --allow-root",
            data_dir, missing ? "would belong to" : "belongs to", data_dir);
    }
    owner = getpwuid(st.st_uid);
    group = owner != NULL ? owner->pw_gid : st.st_gid;
    groups = owner != NULL ? initgroups(owner->pw_name, group) : setgroups(0, NULL);
    if (groups < 0 || setgid(group) < 0 || setuid(st.st_uid) < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot become user %ld, the owner of %s",
                           (long)st.st_uid, data_dir);
    return 0;
}
