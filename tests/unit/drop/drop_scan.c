#include "drop/drop_scan.h"

#include "fs/beneath.h"
#include "lib/odd_files.h"
#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct cause cause;
static struct buffer lines_found;
static unsigned wrong;

/* Append a line for a file: its name, and its kind unless it is a regular file of 7 bytes. */
static void note_file(void *context, const char *name, enum file_kind kind,
                      const struct file_id *file_id)
{
    wrong += context != &lines_found;
    if (kind == FILE_REGULAR && file_id->size == 7)
        buffer_printf(&lines_found, "%s\n", name);
    else
        buffer_printf(&lines_found, "%s:%d\n", name, kind);
}

/* Append a line for a directory. */
static void note_directory(void *context, const char *name, int fd)
{
    struct stat st;

    wrong += context != &lines_found || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode);
    buffer_printf(&lines_found, "%s/\n", name);
}

static int compare_lines(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Return the lines of a scan, sorted and joined by blanks. */
static const char *scan(const char *under, bool recursive, uint64_t *ret_ignored)
{
    struct drop_scan_request request = {.under = under,
                                        .recursive = recursive,
                                        .enter = note_directory,
                                        .found = note_file,
                                        .context = &lines_found};
    static struct buffer out;
    char *lines[64], *line;
    size_t count = 0, i;
    int result;

    buffer_clear(&lines_found);
    buffer_clear(&out);
    wrong = 0;
    result = drop_scan(dir, &request, ret_ignored, &cause);
    check(result == 0 && wrong == 0, "a scan of %s ends with %d", under ? under : "all", result);
    buffer_text(&lines_found);
    for (line = strtok(lines_found.data, "\n"); line != NULL && count < 64;
         line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare_lines);
    for (i = 0; i < count; i++)
        buffer_printf(&out, "%s%s", i > 0 ? " " : "", lines[i]);
    return buffer_text(&out);
}

static void test_scan(void)
{
    static const struct drop_scan_request nothing = {.found = note_file, .context = &lines_found};
    uint64_t ignored = 99;

    place_put_text(dir, ".hidden.csv", "x");
    place_put_text(dir, "note.txt", "x");
    mkdirat(dir, ".~tmp~", 0777);
    place_put_text(dir, ".~tmp~/in.csv", "content");
    mkdirat(dir, "lost+found", 0777);
    place_put_text(dir, "directory.csv/a.csv", "content");
    check_text(
        scan(NULL, false, &ignored),
        "/ dangling.csv:2 fifo.csv:2 file.csv hard.csv link.csv:2 outside.csv:2 socket.csv:2",
        "a scan finds regular files, and others that have the name of one");
    check(ignored == 7, "a scan counts the names that it ignores: %d", (int)ignored);
    check_text(scan(NULL, true, &ignored),
               "/ dangling.csv:2 directory.csv/ directory.csv/a.csv fifo.csv:2 file.csv hard.csv "
               "link.csv:2 outside.csv:2 socket.csv:2 user/ user/deep/ user/deep/er/ "
               "user/deep/er/in.csv user/deep/link.csv:2 user/in.csv:0",
               "a recursive scan enters directories, but not through links, and no hidden ones");
    check(ignored == 6, "and counts the ignored names in all of them: %d", (int)ignored);
    check_text(scan("user/deep", true, &ignored),
               "user/deep/ user/deep/er/ user/deep/er/in.csv user/deep/link.csv:2",
               "one directory with those below it");
    check_text(scan("user/none", true, &ignored), "", "a directory that is missing");
    check_text(scan("linked", true, &ignored), "", "a link is no directory");
    check_text(scan("file.csv", true, &ignored), "", "a file is no directory");
    check(drop_scan(-1, &nothing, &ignored, &cause) < 0 && cause.kind == CAUSE_RETRY,
          "a descriptor that is not open: %s", cause.text);
}

static void test_depth(void)
{
    char path[1200] = "deep", want[2400] = "deep/";
    uint64_t ignored;
    int i;

    mkdirat(dir, path, 0777);
    for (i = 2; i <= BENEATH_DEPTH + 2; i++) {
        strcat(path, "/d");
        mkdirat(dir, path, 0777);
        if (i <= BENEATH_DEPTH)
            sprintf(want + strlen(want), " %s/", path);
        else if (i == BENEATH_DEPTH + 1)
            sprintf(want + strlen(want), " %s:%d", path, FILE_OTHER);
    }
    strcat(path, "/in.csv");
    place_put_text(dir, path, "content");
    check_text(scan("deep", true, &ignored), want, "a scan ends at BENEATH_DEPTH");
}

static void test_longest_path(void)
{
    char name[256], path[800], part[800], want[2400];
    int lengths[] = {255, 511, BENEATH_DIRECTORY_BYTES, BENEATH_DIRECTORY_BYTES + 1};
    uint64_t ignored;
    size_t i;

    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "%s/%s/%s", name, name, name);
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        snprintf(part, sizeof part, "%.*s", lengths[i], path);
        if (mkdirat(dir, part, 0777) < 0)
            abort();
    }
    snprintf(want, sizeof want, "%.255s/ %.511s/ %.*s/ %.*s:%d", path, path,
             BENEATH_DIRECTORY_BYTES, path, BENEATH_DIRECTORY_BYTES + 1, path, FILE_OTHER);
    check_text(scan(name, true, &ignored), want, "a scan ends at BENEATH_DIRECTORY_BYTES");
}

static void test_permission(void)
{
    uint64_t ignored;

    if (geteuid() != 0 || chmod(place, 0755) < 0 || fchmodat(dir, "user/deep", 0700, 0) < 0 ||
        seteuid(65534) < 0) {
        check(true, "only root can become another user # SKIP");
        return;
    }
    check_text(scan("user", true, &ignored), "user/ user/deep:4 user/in.csv:0",
               "a directory without permission is reported as FILE_UNREADABLE");
    if (seteuid(0) < 0)
        abort();
}

int main(void)
{
    alarm(300);
    umask(022);
    dir = place_enter();
    odd_files_make(dir);
    test_scan();
    test_depth();
    test_longest_path();
    test_permission();
    buffer_free(&lines_found);
    close(dir);
    return unit_done();
}
