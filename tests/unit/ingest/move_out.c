#include "ingest/move_out.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fs/csv_name.h"
#include "base/log.h"
#include "fs/lease.h"
#include "lib/data_dir.h"
#include "lib/unit.h"

/* ---- changes at the last instant ---------------------------------------------------------- */

static void (*before_rename)(void);
static const char *victim;

/* Replace libc's renameat2: something happens just before the next rename. */
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    void (*hook)(void) = before_rename;

    before_rename = NULL;
    if (hook != NULL)
        hook();
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void replace_victim(void)
{
    place_put_text(dir.drop, ".new", "other");
    renameat(dir.drop, ".new", dir.drop, victim);
}

static void remove_victim(void)
{
    unlinkat(dir.drop, victim, 0);
}

static int writing_fd = -1;

static void open_victim(void)
{
    writing_fd = openat(dir.drop, victim, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

static bool is_writer_blocked(void)
{
    char text[65536];
    int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "BREAKING") != NULL;
}

static pid_t writer;

/* Let another process write until it is done, or blocked by the lease. */
static void write_beside(void (*work)(void))
{
    writer = fork();
    if (writer == 0) {
        work();
        _exit(0);
    }
    while (writer > 0 && waitpid(writer, NULL, WNOHANG) == 0 && !is_writer_blocked())
        usleep(1000);
}

static void rewrite(void)
{
    place_put_text(dir.drop, victim, "other");
}

static void rewrite_victim(void)
{
    write_beside(rewrite);
}

static void append(void)
{
    place_append(dir.drop, victim, " and more");
}

static void append_victim(void)
{
    write_beside(append);
}

static void drop_newest(void)
{
    place_put_text(dir.drop, victim, "newest");
}

static void drop_longer(void)
{
    place_put_text(dir.drop, victim, "other, and more");
}

/* Replace the file before it is moved, and take its name before the replacement goes back. */
static void replace_then_drop_newest(void)
{
    replace_victim();
    before_rename = drop_newest;
}

static void replace_then_drop_longer(void)
{
    replace_victim();
    before_rename = drop_longer;
}

/* ---- out of the drop directory ------------------------------------------------------------ */

static int move(const char *name, const struct file_id *read)
{
    cause = (struct cause){0};
    return move_out(&dir, name, read, "5.csv", "5" MOVE_OUT_MARKER, &cause);
}

/* Return true if the file is not moved because it changed, and nothing is left in state/moving/. */
static bool is_refused(const char *name, const struct file_id *read)
{
    int result = move(name, read);

    if (writer > 0)
        waitpid(writer, NULL, 0);
    writer = 0;
    return result < 0 && cause.kind == CAUSE_CHANGED && count_in(dir.moving) == 0;
}

static void test_changed_before(void)
{
    struct file_id read, other;

    data_dir_open();
    read = drop("a.csv", "first");
    check(move("a.csv", &read) == 0 && count_in(dir.drop) == 0 &&
              holds(dir.moving, "5.csv", "", "first"),
          "a file that is as it was read is moved");
    unlinkat(dir.moving, "5.csv", 0);
    check(is_refused("a.csv", &read), "a file that is gone is not moved");
    other = drop("a.csv", "other");
    check(is_refused("a.csv", &read) && holds(dir.drop, "a.csv", "", "other"),
          "another file of the name is not moved");
    place_append(dir.drop, "a.csv", "!");
    check(is_refused("a.csv", &other) && holds(dir.drop, "a.csv", "", "other!"),
          "a file that has grown is not moved");
    data_dir_close();
}

static void test_changed_at_last_instant(void)
{
    struct file_id read;

    data_dir_open();
    victim = "a.csv";
    read = drop("a.csv", "first");
    before_rename = remove_victim;
    check(is_refused("a.csv", &read), "deleted at the last instant");
    read = drop("a.csv", "first");
    before_rename = replace_victim;
    check(is_refused("a.csv", &read) && holds(dir.drop, "a.csv", "", "other"),
          "replaced at the last instant: moved back");
    read = drop("a.csv", "first");
    before_rename = append_victim;
    check(is_refused("a.csv", &read) && holds(dir.drop, "a.csv", "", "first and more"),
          "appended to at the last instant: moved back");
    read = drop("a.csv", "first");
    usleep(20000);
    before_rename = rewrite_victim;
    check(is_refused("a.csv", &read) && holds(dir.drop, "a.csv", "", "other"),
          "rewritten in place with the same size at the last instant: moved back");
    read = drop("a.csv", "first");
    before_rename = open_victim;
    if (move("a.csv", &read) == 0)
        check(lease_probe(writing_fd) == LEASE_UNKNOWN, "leases are not to be had # SKIP");
    else
        check(cause.kind == CAUSE_CHANGED && count_in(dir.moving) == 0 &&
                  holds(dir.drop, "a.csv", "", "first"),
              "opened for writing at the last instant: moved back");
    if (writing_fd >= 0)
        close(writing_fd);
    data_dir_close();
}

/* Directories of the drop directory go, come back, and are replaced by links. */
static void test_directory_changed(void)
{
    struct file_id read, now;

    data_dir_open();
    mkdirat(dir.drop, "eva", 0777);
    read = drop("eva/a.csv", "first");
    renameat(dir.drop, "eva", dir.root, "elsewhere");
    check(is_refused("eva/a.csv", &read), "the directory of the file is gone");
    symlinkat("../elsewhere", dir.drop, "eva");
    check(is_refused("eva/a.csv", &read) && holds(dir.root, "elsewhere/a.csv", "", "first"),
          "the directory is a link now: it is not followed");
    unlinkat(dir.drop, "eva", 0);
    renameat(dir.root, "elsewhere", dir.drop, "eva");
    victim = "eva/a.csv";
    beneath_stat(dir.drop, "eva/a.csv", &read);
    before_rename = append_victim;
    check(is_refused("eva/a.csv", &read) && holds(dir.drop, "eva/a.csv", "", "first and more"),
          "appended to at the last instant: moved back into its directory");
    beneath_stat(dir.drop, "eva/a.csv", &now);
    check(move("eva/a.csv", &now) == 0, "moved out of a directory");
    unlinkat(dir.drop, "eva", AT_REMOVEDIR);
    check(move_back(&dir, dir.moving, "5.csv", "eva/a.csv", &cause) == 0 &&
              holds(dir.drop, "eva/a.csv", "", "first and more"),
          "moved back into a directory that was removed meanwhile");
    data_dir_close();
}

/* ---- back --------------------------------------------------------------------------------- */

static void test_back_beside(const char *name, const char *what)
{
    struct buffer content = {0};
    struct file_id read;
    DIR *list;
    const struct dirent *entry;
    bool newest = false, other = false;

    data_dir_open();
    victim = name;
    read = drop(name, "first");
    before_rename = replace_then_drop_newest;
    check(is_refused(name, &read), "%s: the name is taken when the file goes back: %s", what,
          cause.text);
    list = fdopendir(openat(dir.drop, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while ((entry = readdir(list)) != NULL) {
        if (!csv_name_is_accepted(entry->d_name) || !place_get(dir.drop, entry->d_name, &content))
            continue;
        newest |= strcmp(buffer_text(&content), "newest") == 0 && strcmp(entry->d_name, name) == 0;
        other |= strcmp(buffer_text(&content), "other") == 0 && strcmp(entry->d_name, name) != 0;
    }
    closedir(list);
    check(newest && other, "%s: it stands beside the newer one under an accepted name", what);
    buffer_free(&content);
    data_dir_close();
}

static void test_back_into_longer(void)
{
    struct file_id read;

    data_dir_open();
    victim = "a.csv";
    read = drop("a.csv", "first");
    before_rename = replace_then_drop_longer;
    check(is_refused("a.csv", &read) && count_in(dir.drop) == 1,
          "a file whose sender has replaced it by a longer version is deleted");
    data_dir_close();
}

/* ---- from another file system ------------------------------------------------------------- */

/* Take the names that files are hidden under, as another user might. */
static void test_hidden_name_taken(void)
{
    struct file_id read = drop("d.csv", "moved");

    place_put_text(dir.drop, ".phasesentinel", "mine");
    symlinkat("eva", dir.drop, ".phasesentinel.~2~");
    mkdirat(dir.drop, ".phasesentinel.~3~", 0755);
    place_put_text(dir.drop, ".phasesentinel.~3~/mine.csv", "mine");
    check(move("d.csv", &read) == 0 && holds(dir.moving, "5.csv", "", "moved") &&
              holds(dir.drop, "d.csv", "", NULL),
          "a hidden directory gets another name where its own is taken");
    check(holds(dir.drop, ".phasesentinel", "", "mine") &&
              holds(dir.drop, ".phasesentinel.~3~/mine.csv", "", "mine") &&
              faccessat(dir.drop, "mine.csv", F_OK, 0) < 0,
          "what others made of these names is left alone");
}

static void test_across(void)
{
    struct file_id read;

    if (!data_dir_open_across()) {
        check(true, "no second file system here # SKIP");
        data_dir_close_across();
        return;
    }
    victim = "eva/a.csv";
    read = drop(victim, "first");
    check(move(victim, &read) == 0 && holds(dir.moving, "5.csv", "", "first") &&
              count_in(dir.moving) == 1,
          "a file is moved from another file system");
    check(faccessat(dir.drop, "eva/.phasesentinel", F_OK, 0) < 0,
          "the hidden directory is removed");
    unlinkat(dir.moving, "5.csv", 0);
    read = drop(victim, "first");
    before_rename = append_victim;
    check(is_refused(victim, &read) && holds(dir.drop, victim, "", "first and more"),
          "appended to at the last instant: moved back there");
    mkdirat(dir.drop, "eva/.phasesentinel", 0700);
    place_put_text(dir.drop, "eva/.phasesentinel/b.csv", "hidden");
    place_put_text(dir.moving, "6" MOVE_OUT_MARKER, "eva/b.csv");
    place_put_text(dir.moving, "7" MOVE_OUT_MARKER, "away/b.csv");
    check(move_out_recover(&dir, "6" MOVE_OUT_MARKER, &cause) == 0 &&
              holds(dir.drop, "eva/b.csv", "", "hidden") && count_in(dir.moving) == 1,
          "after a crash a hidden file is moved back");
    check(move_out_recover(&dir, "7" MOVE_OUT_MARKER, &cause) == 0 && count_in(dir.moving) == 1,
          "the marker stays while its directory is away");
    test_hidden_name_taken();
    data_dir_close_across();
}

/* ---- same_prefix -------------------------------------------------------------------------- */

static void test_same_prefix(void)
{
    int left, right;

    data_dir_open();
    place_put_text(dir.drop, "left", "same, and more");
    place_put_text(dir.drop, "right", "same.");
    left = openat(dir.drop, "left", O_RDONLY | O_CLOEXEC);
    right = openat(dir.drop, "right", O_RDONLY | O_CLOEXEC);
    check(same_prefix(left, right, 0, &cause) == 1 && same_prefix(left, right, 4, &cause) == 1,
          "the first bytes are the same");
    check(same_prefix(left, right, 5, &cause) == 0, "the next one is not");
    check(same_prefix(left, left, 15, &cause) == 0, "a file shorter than that is not the same");
    check(same_prefix(left, -1, 4, &cause) < 0 && cause.kind == CAUSE_RETRY,
          "a file that cannot be read: %s", cause.text);
    close(left);
    close(right);
    data_dir_close();
}

int main(void)
{
    char longest[256];
    int fd;

    alarm(300);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGIO, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    fd = place_enter();
    memset(longest, 'x', 255);
    memcpy(longest + 251, ".csv", 5);
    test_changed_before();
    test_changed_at_last_instant();
    test_directory_changed();
    test_across();
    test_back_beside("a.csv", "a short name");
    test_back_beside(longest, "a name of 255 bytes");
    test_back_into_longer();
    test_same_prefix();
    close(fd);
    return unit_done();
}
