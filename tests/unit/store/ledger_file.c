#include "store/ledger_file.h"

#include "lib/place.h"
#include "lib/unit.h"

enum { LINES = 300 };

static int dir, fd;
static struct cause cause;
static struct ledger_line line;
static char name[LEDGER_NAME_SIZE];
static uint64_t starts[LINES + 1]; /* and the end */

/* Short lines and long ones, without every tenth number. */
static void make(void)
{
    struct buffer text = {0};
    size_t i, len;

    buffer_string(&text, LEDGER_HEADER);
    for (i = 0; i < LINES; i++) {
        starts[i] = text.len;
        line = (struct ledger_line){.seq = i + 1 + i / 9, .verdict = VERDICT_MERGED};
        len = i % 50 == 49 ? LEDGER_NAME_SIZE - 1 : 1 + place_below(300);
        memset(name, i % 2 == 0 ? 'a' : '\xFF', len);
        name[len] = '\0';
        line.name = name;
        ledger_line_print(&text, &line);
    }
    starts[LINES] = text.len;
    place_put(dir, LEDGER_FILE, text.data, text.len);
    buffer_free(&text);
    fd = openat(dir, LEDGER_FILE, O_RDWR | O_CLOEXEC);
}

static void test_find(void)
{
    uint64_t from, at, end, wrong = 0;
    size_t i = 0;

    for (from = 0; from <= starts[LINES]; from += 1 + from % 3) {
        while (starts[i] < from)
            i++;
        wrong += ledger_file_find(fd, starts[LINES], from, &at, &cause) < 0 || at != starts[i];
        end = starts[LINES / 2];
        wrong += ledger_file_find(fd, end, from, &at, &cause) < 0 ||
                 at != (starts[i] < end ? starts[i] : end);
    }
    check(wrong == 0, "the first line behind any byte: %d wrong", (int)wrong);
}

static void test_by_seq(void)
{
    uint64_t seq, next;
    size_t i = 0, wrong = 0;

    for (seq = 0; seq < LINES * 2; seq++) {
        bool there = seq > 0 && seq % 10 != 0 && i < LINES;

        wrong += ledger_file_by_seq(fd, starts[LINES], seq, &line, name, &cause) != there ||
                 (there && (line.seq != seq || line.at != starts[i]));
        i += there;
    }
    check(wrong == 0 && i == LINES, "each number is found, others are not: %zu wrong", wrong);
    check(ledger_file_by_seq(fd, LEDGER_HEADER_SIZE, 1, &line, name, &cause) == 0,
          "of no lines none");
    check(ledger_file_line(fd, starts[7], &line, name, &next, &cause) == 1 && next == starts[8],
          "a line, and where it ends");
}

static void test_changed(void)
{
    uint64_t next;

    cause = (struct cause){0};
    check(ledger_file_line(fd, starts[7] + 1, &line, name, &next, &cause) < 0 &&
              cause.kind == CAUSE_CORRUPT,
          "where no line begins there is none");
    cause = (struct cause){0};
    check(ledger_file_line(fd, starts[LINES], &line, name, &next, &cause) < 0 &&
              cause.kind == CAUSE_CORRUPT,
          "nor behind the end");
    if (ftruncate(fd, (off_t)starts[10]) < 0)
        abort();
    cause = (struct cause){0};
    check(ledger_file_by_seq(fd, starts[LINES], LINES, &line, name, &cause) < 0 &&
              cause.kind == CAUSE_CORRUPT,
          "a file that shrinks under our hands: %s", cause.text);
}

int main(void)
{
    dir = place_enter();
    make();
    test_find();
    test_by_seq();
    test_changed();
    close(fd);
    close(dir);
    return unit_done();
}
