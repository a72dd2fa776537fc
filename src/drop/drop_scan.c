#include "drop/drop_scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "fs/csv_name.h"
#include "base/vector.h"
#include "drop/sidecar.h"
#include "fs/beneath.h"
#include "fs/dir_list.h"

struct scan {
    const struct drop_scan_request *request;
    char **directories; /* owned, as they are: those still to be listed */
    size_t count, cap;
    struct buffer path;
    uint64_t ignored;
    struct cause *cause;
};

static int push(struct scan *scan, const char *name)
{
    if (vector_grow(&scan->directories, sizeof *scan->directories, scan->count, &scan->cap) < 0)
        return cause_memory(scan->cause);
    scan->directories[scan->count] = strdup(name);
    return scan->directories[scan->count++] == NULL ? cause_memory(scan->cause) : 0;
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
    if (!entry->has_stat)
        return entry->type == DT_REG ? FILE_REGULAR : FILE_OTHER;
    errno = entry->errnum;
    if (errno != 0)
        return file_kind_of_errno();
    file_id_of_stat(&entry->st, file_id);
    return file_kind_of_stat(&entry->st);
}

/* A name in the directory that is listed. */
static int meet(struct scan *scan, const char *directory, const struct dir_list_entry *entry)
{
    const struct drop_scan_request *request = scan->request;
    bool counts = csv_name_is_accepted(entry->name);
    struct file_id file_id = {0};
    enum file_kind kind = kind_of_entry(entry, &file_id);
    const char *path = entry->name;
    bool sidecar;

    if (kind == FILE_DIRECTORY)
        counts = request->recursive && csv_name_is_scanned_directory(entry->name);
    sidecar = !counts && kind != FILE_GONE && sidecar_target_length(entry->name) > 0;
    if (sidecar && request->sidecar == NULL)
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
        request->sidecar(request->context, path);
    else if (kind == FILE_DIRECTORY)
        return push(scan, path);
    else if (kind != FILE_GONE)
        request->found(request->context, path, kind, &file_id);
    return 0;
}

static int cannot_list(struct cause *cause)
{
    return cause_errno(cause, CAUSE_RETRY, "cannot list the drop directory");
}

/* Takes the descriptor. 1: it cannot be read to its end. */
static int list_directory(struct scan *scan, int fd, const char *directory)
{
    struct dir_list *listing =
        dir_list_open(fd, scan->request->names_only ? wants_type : wants_look);
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
    const struct drop_scan_request *request = scan->request;
    struct file_id none = {0};
    int fd, result;
    enum file_kind kind = beneath_open_dir(dir_fd, directory, &fd);

    if (kind == FILE_GONE) /* even if it was listed a moment ago */
        return 0;
    if (kind == FILE_DIRECTORY) {
        if (request->enter != NULL)
            request->enter(request->context, directory, fd);
        result = list_directory(scan, fd, directory);
        if (result <= 0)
            return result;
        kind = FILE_TROUBLE;
    } else if (*directory == '\0') {
        cannot_list(scan->cause);
    }
    if (*directory == '\0')
        return -1;
    request->found(request->context, directory, kind, &none);
    return 0;
}

int drop_scan(int dir_fd, const struct drop_scan_request *request, uint64_t *ret_ignored,
              struct cause *cause)
{
    struct scan scan = {.request = request, .cause = cause};
    int result = push(&scan, request->under == NULL ? "" : request->under);
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
