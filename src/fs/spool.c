#include "fs/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buffer.h"
#include "fs/dir_list.h"

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void take_signature(const struct stat *st, struct file_id *file_id)
{
    *file_id = (struct file_id){st->st_dev, st->st_ino, (uint64_t)st->st_size,
                                nanoseconds(st->st_mtim), nanoseconds(st->st_ctim)};
}

static enum file_kind kind_of(const struct stat *st)
{
    if (S_ISREG(st->st_mode))
        return FILE_REGULAR;
    return S_ISDIR(st->st_mode) ? FILE_DIRECTORY : FILE_OTHER;
}

static enum file_kind kind_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return FILE_GONE;
    case ELOOP:
    case EXDEV:
    case ENXIO:
        return FILE_OTHER;
    case EACCES:
    case EPERM:
        return FILE_UNREADABLE;
    default:
        return FILE_TROUBLE;
    }
}

bool file_id_equal(const struct file_id *left, const struct file_id *right)
{
    return left->device == right->device && left->inode == right->inode &&
           left->size == right->size && left->mtime == right->mtime && left->ctime == right->ctime;
}

/* ---- names
 * --------------------------------------------------------------------------------------- */

const char *path_base(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash == NULL ? name : slash + 1;
}

static bool is_hidden(const char *name)
{
    return name[0] == '.' || strstr(name, "/.") != NULL;
}

const char *csv_name_suffix(const char *name)
{
    static const char *const suffixes[] = {".csv", ".csv.gz", ".csv.zst"};
    size_t len = strlen(name), i;

    for (i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (len > strlen(suffixes[i]) &&
            strcasecmp(name + len - strlen(suffixes[i]), suffixes[i]) == 0)
            return name + len - strlen(suffixes[i]);
    return name + len;
}

size_t csv_name_length(const char *name)
{
    const char *suffix = csv_name_suffix(name);

    return (size_t)(suffix - name) + (*suffix == '\0' ? 0 : strlen(".csv"));
}

bool csv_name_is_accepted(const char *name)
{
    return !is_hidden(name) && *csv_name_suffix(path_base(name)) != '\0';
}

static const char *const sidecar_suffixes[SIDECAR_KINDS] = {".sha256", ".done"};

const char *sidecar_suffix(enum sidecar_kind sidecar)
{
    return sidecar_suffixes[sidecar];
}

size_t sidecar_target_length(const char *name)
{
    const size_t len = strlen(name);
    char of[PATH_MAX];
    size_t i, suffix;

    for (i = 0; i < SIDECAR_KINDS; i++) {
        suffix = strlen(sidecar_suffixes[i]);
        if (len <= suffix || len >= sizeof of ||
            strcmp(name + len - suffix, sidecar_suffixes[i]) != 0)
            continue;
        memcpy(of, name, len - suffix);
        of[len - suffix] = '\0';
        return csv_name_is_accepted(of) ? len - suffix : 0;
    }
    return 0;
}

bool csv_name_is_scanned_directory(const char *name)
{
    return !is_hidden(name) && strcmp(path_base(name), "lost+found") != 0;
}

/* ---- opening
 * ------------------------------------------------------------------------------------- */

/* One directory after the other, none of them a link, none of them "..". */
static int open_by_parts(int dir_fd, const char *name, int flags)
{
    char part[NAME_MAX + 1];
    int at = dir_fd, next, error;
    size_t len;
    bool last;

    for (;; name += len + 1) {
        len = strcspn(name, "/");
        last = name[len] == '\0';
        errno = len > NAME_MAX ? ENAMETOOLONG : EXDEV;
        next = -1;
        if (len > 0 && len <= NAME_MAX && strspn(name, ".") != len) {
            memcpy(part, name, len);
            part[len] = '\0';
            next = openat(at, part, last ? flags : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        error = errno;
        if (at != dir_fd)
            close(at);
        errno = error;
        if (next < 0 || last)
            return next;
        at = next;
    }
}

static int open_beneath(int dir_fd, const char *name, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);

    if (fd < 0 && errno == EPERM && (flags & O_NOATIME) != 0) /* only the owner may ask for that */
        return open_beneath(dir_fd, name, flags & ~O_NOATIME);
    /* Kernels before 5.6, and sandboxes that do not know the call (EPERM too, from seccomp). */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_by_parts(dir_fd, name, (int)how.flags);
    return (int)fd;
}

int beneath_open_parent(int dir_fd, const char *name)
{
    size_t len = (size_t)(path_base(name) - name);
    char parent[PATH_MAX];

    if (len == 0)
        return openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (len > sizeof parent) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(parent, name, len - 1);
    parent[len - 1] = '\0';
    return open_beneath(dir_fd, parent, O_DIRECTORY);
}

enum file_kind beneath_open_dir(int dir_fd, const char *name, int *ret_fd)
{
    const char *slash;
    unsigned depth = 1;
    int fd;

    for (slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
        depth++;
    if (depth > BENEATH_DEPTH || strlen(name) > BENEATH_DIRECTORY_BYTES)
        return FILE_OTHER;
    if (is_hidden(name))
        return FILE_GONE;
    fd = *name == '\0' ? openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                       : open_beneath(dir_fd, name, O_DIRECTORY);
    if (fd < 0)
        return errno == ELOOP || errno == ENOTDIR ? FILE_GONE : kind_of_errno();
    *ret_fd = fd;
    return FILE_DIRECTORY;
}

static void take_whose(const struct stat *st, struct file_access *whose)
{
    *whose = (struct file_access){st->st_uid, !S_ISDIR(st->st_mode) && st->st_nlink > 1,
                                  (st->st_mode & S_IROTH) == 0};
}

/* What stands behind a name without directories. */
static enum file_kind look_at(int dir_fd, const char *base, struct file_id *ret_signature,
                              struct file_access *ret_whose)
{
    struct stat st;

    if (fstatat(dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return kind_of_errno();
    take_signature(&st, ret_signature);
    take_whose(&st, ret_whose);
    return kind_of(&st);
}

enum file_kind beneath_stat(int dir_fd, const char *name, struct file_id *ret_signature)
{
    struct file_access ignored;

    return beneath_stat_access(dir_fd, name, ret_signature, &ignored);
}

enum file_kind beneath_stat_access(int dir_fd, const char *name, struct file_id *ret_signature,
                                   struct file_access *ret_whose)
{
    const char *base = path_base(name);
    enum file_kind kind;
    int parent, error;

    if (base == name)
        return look_at(dir_fd, name, ret_signature, ret_whose);
    parent = beneath_open_parent(dir_fd, name);
    if (parent < 0) /* what is behind a link is not in the drop directory */
        return errno == ELOOP || errno == ENOTDIR ? FILE_GONE : kind_of_errno();
    kind = look_at(parent, base, ret_signature, ret_whose);
    error = errno;
    close(parent);
    errno = error;
    return kind;
}

static enum file_kind open_file(int dir_fd, const char *name, int *ret_fd, struct stat *ret_st)
{
    struct file_id before;
    enum file_kind kind = beneath_stat(dir_fd, name, &before);
    int fd;

    /* Looked at first, because opening a FIFO or a device may already have an effect. */
    if (kind != FILE_REGULAR)
        return kind;
    /* Each file is read once: to write down when would cost more than the reading of a small one.
     */
    fd = open_beneath(dir_fd, name, O_NOATIME);
    if (fd < 0)
        return kind_of_errno();
    kind = fstat(fd, ret_st) < 0 ? FILE_TROUBLE : kind_of(ret_st);
    if (kind != FILE_REGULAR)
        close(fd);
    else
        *ret_fd = fd;
    return kind;
}

enum file_kind beneath_open(int dir_fd, const char *name, int *ret_fd,
                            struct file_id *ret_signature)
{
    struct stat st;
    enum file_kind kind = open_file(dir_fd, name, ret_fd, &st);

    if (kind == FILE_REGULAR)
        take_signature(&st, ret_signature);
    return kind;
}

int64_t file_id_birth_time(int fd)
{
    struct statx stx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) < 0 || (stx.stx_mask & STATX_BTIME) == 0)
        return -1;
    return stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

enum file_kind file_id_of_fd(int fd, struct file_id *ret_signature)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return FILE_TROUBLE;
    take_signature(&st, ret_signature);
    return kind_of(&st);
}

enum lease_state lease_hold(int fd)
{
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
        return LEASE_NO_WRITER;
    return errno == EAGAIN ? LEASE_WRITER : LEASE_UNKNOWN;
}

bool lease_is_breaking(int fd)
{
    return fcntl(fd, F_GETLEASE) != F_RDLCK;
}

void lease_release(int fd)
{
    fcntl(fd, F_SETLEASE, F_UNLCK);
}

enum lease_state lease_probe(int fd)
{
    enum lease_state writer = lease_hold(fd);

    if (writer == LEASE_NO_WRITER)
        lease_release(fd);
    return writer;
}

void opened_file_open(int dir_fd, const char *name, struct opened_file *ret_taken)
{
    struct stat st;

    *ret_taken = (struct opened_file){.fd = -1};
    ret_taken->kind = open_file(dir_fd, name, &ret_taken->fd, &st);
    ret_taken->errnum = errno;
    if (ret_taken->kind != FILE_REGULAR)
        return;
    take_signature(&st, &ret_taken->file_id);
    take_whose(&st, &ret_taken->whose);
    ret_taken->writer = lease_probe(ret_taken->fd);
}

/* ---- scanning
 * ------------------------------------------------------------------------------------ */

struct scan {
    const struct drop_scan_request *order;
    char **directories; /* owned, as they are: those still to be listed */
    size_t count, cap;
    struct buffer path;
    uint64_t ignored;
    struct cause *cause;
};

static int push(struct scan *scan, const char *name)
{
    char **directories = scan->directories;

    if (directories == NULL || scan->count == scan->cap) {
        size_t cap = scan->cap == 0 ? 16 : scan->cap * 2;

        directories = realloc(directories, cap * sizeof *directories);
        if (directories == NULL)
            return cause_memory(scan->cause);
        scan->directories = directories;
        scan->cap = cap;
    }
    directories[scan->count] = strdup(name);
    return directories[scan->count++] == NULL ? cause_memory(scan->cause) : 0;
}

static bool wants_look(const char *name, unsigned char type)
{
    return type == DT_UNKNOWN || (type != DT_DIR && csv_name_is_accepted(name));
}

static bool wants_type(const char *name, unsigned char type)
{
    (void)name;
    return type == DT_UNKNOWN;
}

static enum file_kind kind_of_entry(const struct dir_list_entry *entry, struct file_id *file_id)
{
    if (entry->type == DT_DIR)
        return FILE_DIRECTORY;
    if (!entry->looked)
        return entry->type == DT_REG ? FILE_REGULAR : FILE_OTHER;
    errno = entry->errnum;
    if (errno != 0)
        return kind_of_errno();
    take_signature(&entry->st, file_id);
    return kind_of(&entry->st);
}

/* A name in the directory that is listed. */
static int meet(struct scan *scan, const char *directory, const struct dir_list_entry *entry)
{
    const struct drop_scan_request *order = scan->order;
    bool counts = csv_name_is_accepted(entry->name);
    struct file_id file_id = {0};
    enum file_kind kind = kind_of_entry(entry, &file_id);
    const char *path = entry->name;
    bool sidecar;

    if (kind == FILE_DIRECTORY)
        counts = order->recursive && csv_name_is_scanned_directory(entry->name);
    sidecar = !counts && kind != FILE_GONE && sidecar_target_length(entry->name) > 0;
    if (sidecar && order->sidecar == NULL)
        return 0;
    if (!counts && !sidecar) {
        scan->ignored++;
        return 0;
    }
    if (*directory != '\0') {
        buffer_clear(&scan->path);
        buffer_printf(&scan->path, "%s/%s", directory, entry->name);
        path = buffer_text(&scan->path);
        if (buffer_failed(&scan->path))
            return cause_memory(scan->cause);
    }
    if (sidecar)
        order->sidecar(order->context, path);
    else if (kind == FILE_DIRECTORY)
        return push(scan, path);
    else if (kind != FILE_GONE)
        order->found(order->context, path, kind, &file_id);
    return 0;
}

static int cannot_list(struct cause *cause)
{
    return cause_errno(cause, CAUSE_RETRY, "cannot list the drop directory");
}

/* Takes the descriptor. 1: it cannot be read to its end. */
static int list_directory(struct scan *scan, int fd, const char *directory)
{
    struct dir_list *listing = dir_list_open(fd, scan->order->names_only ? wants_type : wants_look);
    const struct dir_list_entry *entry;
    int result = 0, next = 1;

    if (listing == NULL) {
        close(fd);
        return cause_memory(scan->cause);
    }
    while (result == 0 && (next = dir_list_next(listing, &entry)) > 0)
        result = meet(scan, directory, entry);
    if (next < 0) {
        cannot_list(scan->cause);
        result = 1;
    }
    dir_list_close(listing);
    close(fd);
    return result;
}

static int scan_directory(struct scan *scan, int dir_fd, const char *directory)
{
    const struct drop_scan_request *order = scan->order;
    struct file_id none = {0};
    int fd, result;
    enum file_kind kind = beneath_open_dir(dir_fd, directory, &fd);

    if (kind == FILE_GONE) /* even if it was listed a moment ago */
        return 0;
    if (kind == FILE_DIRECTORY) {
        if (order->enter != NULL)
            order->enter(order->context, directory, fd);
        result = list_directory(scan, fd, directory);
        if (result <= 0)
            return result;
        kind = FILE_TROUBLE;
    } else if (*directory == '\0') {
        cannot_list(scan->cause);
    }
    if (*directory == '\0')
        return -1;
    order->found(order->context, directory, kind, &none);
    return 0;
}

int drop_scan(int dir_fd, const struct drop_scan_request *order, uint64_t *ret_ignored,
              struct cause *cause)
{
    struct scan scan = {.order = order, .cause = cause};
    int result = push(&scan, order->under == NULL ? "" : order->under);
    char *directory;

    while (result == 0 && scan.count > 0) {
        directory = scan.directories[--scan.count];
        result = scan_directory(&scan, dir_fd, directory);
        free(directory);
    }
    while (scan.count > 0)
        free(scan.directories[--scan.count]);
    free(scan.directories);
    buffer_free(&scan.path);
    if (result == 0)
        *ret_ignored = scan.ignored;
    return result;
}
