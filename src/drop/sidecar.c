/*
 * NAME.sha256 is what sha256sum(1) prints, a line for each file: 64 hex digits, a blank, a blank or
 * '*', and the file's name; or, with --tag, "SHA256 (name) = digits". If the name holds a backslash
 * or a line end, the line begins with '\', and the name has "\\" and "\n" instead. A line of the
 * digits alone is accepted too. A single line counts whatever name it has, since files are renamed
 * on their way; of several lines the one with the file's name counts.
 */
#include "drop/sidecar.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "fs/csv_name.h"
#include "fs/beneath.h"
#include "fs/durable.h"

#define DIGITS (2 * DIGEST_SIZE)

static const char *const sidecar_suffixes[SIDECAR_KINDS] = {".sha256", ".done"};

const char *sidecar_suffix(enum sidecar_kind kind)
{
    return sidecar_suffixes[kind];
}

size_t sidecar_target_length(const char *name)
{
    const size_t len = strlen(name);
    char target[PATH_MAX];
    size_t i, suffix;

    for (i = 0; i < SIDECAR_KINDS; i++) {
        suffix = strlen(sidecar_suffixes[i]);
        if (len <= suffix || len >= sizeof target ||
            strcmp(name + len - suffix, sidecar_suffixes[i]) != 0)
            continue;
        memcpy(target, name, len - suffix);
        target[len - suffix] = '\0';
        return csv_name_is_accepted(target) ? len - suffix : 0;
    }
    return 0;
}

/* ---- NAME.sha256 ---- */

static bool parse_digits(const char *text, size_t len, unsigned char out[DIGEST_SIZE])
{
    char digits[DIGITS];
    size_t i;

    if (len < DIGITS || (len > DIGITS && isxdigit((unsigned char)text[DIGITS])))
        return false;
    for (i = 0; i < DIGITS; i++)
        digits[i] = (char)tolower((unsigned char)text[i]);
    return digest_unhex(out, digits, DIGEST_SIZE);
}

/* Return true if the path, as a line has it, ends in the name `base`. */
static bool path_ends_in(const char *path, size_t len, bool escaped, const char *base)
{
    struct buffer name = {0};
    const char *slash;
    bool same;
    size_t i;

    for (i = 0; i < len; i++) {
        if (escaped && path[i] == '\\' && i + 1 < len) {
            i++;
            buffer_byte(&name, path[i] == 'n' ? '\n' : path[i] == 'r' ? '\r' : path[i]);
        } else {
            buffer_byte(&name, path[i]);
        }
    }
    slash = strrchr(buffer_text(&name), '/');
    same = strcmp(slash == NULL ? buffer_text(&name) : slash + 1, base) == 0;
    buffer_free(&name);
    return same;
}

enum sum_line { SUM_NONE, SUM_OF_OTHER_NAME, SUM_OF_NAME };

/* Read a line. SUM_OF_NAME: of the name `base`, or without a name. */
static enum sum_line parse_sum_line(const char *line, size_t len, const char *base,
                                    unsigned char sha256[DIGEST_SIZE])
{
    static const char tag[] = "SHA256 (", end[] = ") = ";
    bool escaped = len > 0 && *line == '\\';
    size_t name_len;

    if (len > 0 && line[len - 1] == '\r')
        len--;
    line += escaped;
    len -= escaped;
    if (parse_digits(line, len, sha256)) {
        if (len == DIGITS)
            return SUM_OF_NAME;
        if (len < DIGITS + 3 || line[DIGITS] != ' ' ||
            (line[DIGITS + 1] != ' ' && line[DIGITS + 1] != '*'))
            return SUM_NONE;
        return path_ends_in(line + DIGITS + 2, len - DIGITS - 2, escaped, base) ? SUM_OF_NAME
                                                                                : SUM_OF_OTHER_NAME;
    }
    if (len < strlen(tag) + strlen(end) + DIGITS || memcmp(line, tag, strlen(tag)) != 0)
        return SUM_NONE;
    name_len = len - strlen(tag) - strlen(end) - DIGITS;
    if (memcmp(line + strlen(tag) + name_len, end, strlen(end)) != 0 ||
        !parse_digits(line + len - DIGITS, DIGITS, sha256))
        return SUM_NONE;
    return path_ends_in(line + strlen(tag), name_len, escaped, base) ? SUM_OF_NAME
                                                                     : SUM_OF_OTHER_NAME;
}

bool sidecar_parse(const char *text, size_t len, const char *base,
                   unsigned char ret_sha256[DIGEST_SIZE])
{
    unsigned char sha256[DIGEST_SIZE];
    const char *end = text + len, *next;
    size_t others = 0;
    enum sum_line found;

    for (; text < end; text = next + 1) {
        next = memchr(text, '\n', (size_t)(end - text));
        if (next == NULL)
            next = end;
        found = parse_sum_line(text, (size_t)(next - text), base, sha256);
        if (found == SUM_OF_NAME || (found == SUM_OF_OTHER_NAME && others == 0))
            memcpy(ret_sha256, sha256, DIGEST_SIZE);
        if (found == SUM_OF_NAME)
            return true;
        others += found == SUM_OF_OTHER_NAME;
    }
    return others == 1;
}

/* ---- finding sidecars ---- */

#define RENAME_TIME (2 * CLOCK_SECOND) /* after that a rename by link and unlink is over */

/* Return true if the sidecar counts. */
static bool is_trusted(const struct file_access *access, const struct file_id *file_id, uid_t owner,
                       struct sidecars *sidecars)
{
    if (!access->linked &&
        (access->owner == owner || access->owner == 0 || access->owner == geteuid()))
        return true;
    sidecars->foreign = true;
    sidecars->linked |= access->linked && clock_real() < file_id->ctime + RENAME_TIME;
    return false;
}

/* Read the checksum. Return FILE_GONE if the sidecar does not count. */
static enum file_kind read_sum(int dir_fd, const char *path, const char *base, uid_t owner,
                               struct sidecars *sidecars)
{
    struct opened_file opened;
    struct cause cause = {0};
    ssize_t len = -1;
    char *text;

    opened_file_open(dir_fd, path, &opened);
    errno = opened.errnum;
    if (opened.kind != FILE_REGULAR)
        return opened.kind;
    if (!is_trusted(&opened.access, &opened.file_id, owner, sidecars)) {
        close(opened.fd);
        return FILE_GONE;
    }
    sidecars->each[SIDECAR_SHA256].file_id = opened.file_id;
    text = malloc(SIDECAR_BYTES);
    errno = ENOMEM;
    if (text != NULL)
        len = durable_read(opened.fd, text, SIDECAR_BYTES, 0, path, &cause);
    if (len >= 0)
        sidecars->has_sum = sidecar_parse(text, (size_t)len, base, sidecars->sha256);
    free(text);
    close(opened.fd);
    if (text != NULL)
        errno = cause.errnum;
    return len < 0 ? FILE_TROUBLE : FILE_REGULAR;
}

static enum file_kind find_sidecar(int dir_fd, const char *name, enum sidecar_kind which,
                                   uid_t owner, struct sidecars *sidecars)
{
    struct file_id *file_id = &sidecars->each[which].file_id;
    enum file_kind kind = FILE_TROUBLE;
    struct file_access access = {0};
    struct buffer path = {0};

    buffer_printf(&path, "%s%s", name, sidecar_suffix(which));
    errno = ENOMEM;
    if (!buffer_failed(&path))
        kind = beneath_stat_access(dir_fd, buffer_text(&path), file_id, &access);
    if (kind == FILE_TROUBLE && errno == ENAMETOOLONG)
        kind = FILE_GONE;
    if ((kind == FILE_REGULAR || kind == FILE_OTHER || kind == FILE_DIRECTORY) &&
        !is_trusted(&access, file_id, owner, sidecars))
        kind = FILE_GONE;
    /* An empty checksum file has just been created: its content is still to come. */
    if (kind == FILE_REGULAR && which == SIDECAR_SHA256 && file_id->size == 0)
        kind = FILE_GONE;
    if (kind == FILE_REGULAR && which == SIDECAR_SHA256)
        kind = read_sum(dir_fd, buffer_text(&path), path_base(name), owner, sidecars);
    buffer_free(&path);
    return kind;
}

enum file_kind sidecar_read(int dir_fd, const char *name, uid_t owner,
                            struct sidecars *ret_sidecars)
{
    enum file_kind kind, result = FILE_REGULAR;
    int i;

    *ret_sidecars = (struct sidecars){0};
    for (i = 0; i < SIDECAR_KINDS && result == FILE_REGULAR; i++) {
        kind = find_sidecar(dir_fd, name, (enum sidecar_kind)i, owner, ret_sidecars);
        ret_sidecars->each[i].there = kind != FILE_GONE;
        if (kind != FILE_GONE)
            result = kind;
    }
    return result;
}

uint64_t sidecar_hash(const struct sidecars *sidecars)
{
    uint64_t words[SIDECAR_KINDS * 6] = {0};
    bool any = false;
    size_t i;

    for (i = 0; i < SIDECAR_KINDS; i++) {
        const struct file_id *file_id = &sidecars->each[i].file_id;
        uint64_t *word = &words[i * 6];

        if (!sidecars->each[i].there)
            continue;
        any = true;
        word[0] = 1;
        word[1] = file_id->device;
        word[2] = file_id->inode;
        word[3] = file_id->size;
        word[4] = (uint64_t)file_id->mtime;
        word[5] = (uint64_t)file_id->ctime;
    }
    return any ? digest_check(words, sizeof words) : 0;
}

bool sidecar_agrees(const struct sidecars *sidecars, const char *name,
                    const unsigned char sha256[DIGEST_SIZE], struct violations *violations)
{
    const char *suffix = sidecar_suffix(SIDECAR_SHA256), *base = path_base(name);
    struct buffer *message;

    if (!sidecars->each[SIDECAR_SHA256].there ||
        (sidecars->has_sum && memcmp(sidecars->sha256, sha256, DIGEST_SIZE) == 0))
        return true;
    message = violations_add_first(violations, VIOLATION_CHECKSUM_MISMATCH);
    if (message == NULL)
        return false;
    if (sidecars->has_sum) {
        buffer_string(message, "the SHA-256 of the file is ");
        digest_hex(message, sha256, DIGEST_SIZE);
        buffer_printf(message, ", but %s%s says ", base, suffix);
        digest_hex(message, sidecars->sha256, DIGEST_SIZE);
        buffer_string(message, ": one of them was cut or changed on its way; send both again");
    } else {
        buffer_printf(
            message,
            "%s%s holds no SHA-256 of this file: write it by sha256sum and send both again", base,
            suffix);
    }
    violations_added_first(violations);
    return false;
}
