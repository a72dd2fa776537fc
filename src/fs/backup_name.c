#include "fs/backup_name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/csv_name.h"
#include "base/digest.h"
#include "fs/durable.h"

/* Open the directory of this name, or the first of NAME.d, NAME.d.d that is one or can be made. */
static int open_part(int at, const char *name, size_t len, bool create, struct cause *cause)
{
    char part[NAME_MAX + 1];
    int fd;

    if (len > NAME_MAX) {
        errno = ENAMETOOLONG;
        return cause_errno(cause, CAUSE_RETRY, "cannot open the directory %s", name);
    }
    memcpy(part, name, len);
    for (;; memcpy(part + len, ".d", 2), len += 2) {
        part[len] = '\0';
        if (create && durable_mkdir(at, part, 0777, cause) < 0)
            return -1;
        fd = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        if ((errno != ENOTDIR && errno != ELOOP) || len + 2 > NAME_MAX)
            return cause_errno(cause, CAUSE_RETRY, "cannot open the directory %s", part);
    }
}

int backup_name_open(int root, const char *name, bool create, struct cause *cause)
{
    int at = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;
    const char *slash;

    if (at < 0)
        return cause_errno(cause, CAUSE_RETRY, "cannot open the directory of %s", name);
    for (; at >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        next = open_part(at, name, (size_t)(slash - name), create, cause);
        close(at);
        at = next;
    }
    return at;
}

void backup_name_format(char out[BACKUP_NAME_SIZE], const char *name, unsigned n,
                        const char *suffix)
{
    const char *base = path_base(name);
    char shortened[BACKUP_NAME_SIZE], number[32] = "";

    snprintf(shortened, sizeof shortened, "%s", base);
    if (strlen(base) > BACKUP_NAME_LONGEST)
        snprintf(shortened, sizeof shortened, "%.*s~%016" PRIx64 "%s", BACKUP_NAME_LONGEST - 32,
                 base, digest_check(base, strlen(base)), csv_name_suffix(base));
    if (n > 1)
        snprintf(number, sizeof number, ".~%u~", n);
    snprintf(out, BACKUP_NAME_SIZE, "%.*s%s%s", BACKUP_NAME_LONGEST, shortened, number, suffix);
}

void backup_name_strip(char *path)
{
    size_t len = strlen(path), digits;

    if (len == 0 || path[len - 1] != '~')
        return;
    for (digits = len - 1; digits > 0 && path[digits - 1] >= '0' && path[digits - 1] <= '9';)
        digits--;
    if (digits > 2 && digits < len - 1 && memcmp(path + digits - 2, ".~", 2) == 0)
        path[digits - 2] = '\0';
}
