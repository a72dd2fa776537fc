#include "store/ledger_index.h"

#include "lib/place.h"
#include "lib/unit.h"

enum { NAMES = 40, CONTENTS = 60, LINES = 400 };

static struct ledger_index ledger_index;
static struct ledger_line line;

static void make_line(enum verdict verdict, const char *name, unsigned content, uint64_t at)
{
    line = (struct ledger_line){.verdict = verdict, .at = at, .bytes = content * 10};
    line.sha256[0] = (unsigned char)content;
    line.name = name;
}

static void add(void)
{
    struct ledger_note note;

    ledger_index_note(&ledger_index, &line, &note);
    if (ledger_index_add(&ledger_index, &note) < 0)
        abort();
}

static void test_empty(void)
{
    struct ledger_known known = {.last_at = 5, .rows = 5};
    unsigned char sha[DIGEST_SIZE] = {0};
    size_t cursor = 0;
    uint64_t block = 42;

    check(!ledger_index_name(&ledger_index, "a.csv", &known) && known.last_at == 0 &&
              known.rows == 0,
          "an empty index knows no name");
    check(!ledger_index_content(&ledger_index, sha, (struct content_meta){false, 0}, &cursor,
                                &block) &&
              block == 42,
          "and no content");
    ledger_index_free(&ledger_index);
}

/* Model of a name, by the plainest code. */
struct name {
    struct ledger_known known;
    uint64_t longest_bytes;
    bool there;
};

static void apply(struct name *name, const struct ledger_line *by)
{
    struct ledger_known *known = &name->known;
    uint64_t rows = by->rows + by->rejected;

    name->there = true;
    known->last_at = by->at;
    known->last = by->verdict;
    if (by->verdict == VERDICT_GROWN && by->duplicate == 0)
        known->rows = (by->bytes > name->longest_bytes ? known->longest_rows : known->rows) + rows;
    else if (by->verdict == VERDICT_QUARANTINED)
        known->rows = 0;
    else if (by->verdict != VERDICT_FORGOTTEN)
        known->rows = rows + by->duplicate;
    if (by->verdict != VERDICT_QUARANTINED && by->verdict != VERDICT_FORGOTTEN &&
        by->bytes >= name->longest_bytes) {
        known->longest_at = by->at;
        known->longest_rows = known->rows;
        name->longest_bytes = by->bytes;
    }
}

/* Write the name of this number: five names in a row belong to one CSV. */
static void name_of(char text[32], size_t number)
{
    static const char *const suffixes[] = {".csv", ".csv.gz", ".csv.zst", ".csv.GZ", ".csv.zsT"};

    snprintf(text, 32, "%zu%s", number / 5, suffixes[number % 5]);
}

static bool same(const struct ledger_known *a, const struct ledger_known *b)
{
    return a->last_at == b->last_at && a->last == b->last && a->rows == b->rows &&
           a->longest_at == b->longest_at && a->longest_rows == b->longest_rows;
}

static void test_against_rules(void)
{
    const size_t rounds = place_rounds(300);
    struct ledger_known known;
    size_t i, round, wrong = 0, k, met;
    uint64_t at, block, ats[LINES];
    unsigned contents[LINES];
    char text[32];

    for (round = 0; round < rounds; round++) {
        struct name names[NAMES] = {{{0}, 0, false}};

        if (round % 3 == 0)
            ledger_index_reserve(&ledger_index, place_below(2 * LINES));
        for (i = 0, at = 200; i < LINES; i++, at += 149 + place_below(100)) {
            unsigned content = (unsigned)place_below(CONTENTS);

            k = place_below(NAMES);
            name_of(text, k);
            make_line((enum verdict)(VERDICT_MERGED + place_below(5)), text, content, at);
            line.rows = place_below(50);
            line.rejected = place_below(3);
            line.duplicate = place_below(2) * place_below(50);
            add();
            apply(&names[k], &line);
            ats[i] = at;
            contents[i] = line.verdict == VERDICT_QUARANTINED ? CONTENTS : content;
            k = place_below(NAMES);
            name_of(text, k);
            wrong += ledger_index_name(&ledger_index, text, &known) != names[k].there ||
                     !same(&known, &names[k].known);
        }
        for (k = 0; k < CONTENTS; k++) {
            size_t cursor = 0;

            make_line(VERDICT_MERGED, "", (unsigned)k, 0);
            for (met = 0; ledger_index_content(&ledger_index, line.sha256,
                                               (struct content_meta){false, 0}, &cursor, &block);
                 met++) {
                for (i = 0; i < LINES && ats[i] / LEDGER_LINE_MIN_SIZE != block; i++)
                    continue;
                wrong += i == LINES || contents[i] != k;
            }
            for (i = 0; i < LINES; i++)
                met -= contents[i] == k;
            wrong += met != 0;
        }
        ledger_index_free(&ledger_index);
    }
    check(wrong == 0, "%zu ledgers of %d lines: %zu wrong", rounds, (int)LINES, wrong);
}

static void test_quarantined(void)
{
    static const struct {
        const char *name;
        enum verdict verdict;
    } lines[] = {{"a.csv", VERDICT_MERGED},      {"b.csv", VERDICT_QUARANTINED},
                 {"c.csv", VERDICT_QUARANTINED}, {"b.csv", VERDICT_QUARANTINED},
                 {"c.csv", VERDICT_MERGED},      {"c.csv.gz", VERDICT_QUARANTINED},
                 {"a.csv", VERDICT_DUPLICATE}};
    const uint64_t want[] = {400, 300, 600, 0, 0};
    size_t cursor = 0, i, wrong = 0;

    check(ledger_index_quarantined(&ledger_index, &cursor) == 0, "nothing is quarantined yet");
    for (i = 0; i < sizeof lines / sizeof *lines; i++) {
        make_line(lines[i].verdict, lines[i].name, (unsigned)i, 100 * (i + 1));
        add();
    }
    for (i = 0; i < sizeof want / sizeof *want; i++)
        wrong += ledger_index_quarantined(&ledger_index, &cursor) != want[i];
    check(wrong == 0, "the last quarantined line of each name is given once");
    ledger_index_free(&ledger_index);
}

static void test_meta(void)
{
    size_t cursor = 0;
    uint64_t block;

    make_line(VERDICT_MERGED, "a.csv", 5, 1000);
    line.has_meta = true;
    add();
    check(ledger_index_content(&ledger_index, line.sha256, (struct content_meta){true, 0}, &cursor,
                               &block) &&
              block == 1000 / LEDGER_LINE_MIN_SIZE,
          "content is known with its meta");
    cursor = 0;
    check(!ledger_index_content(&ledger_index, line.sha256, (struct content_meta){false, 0},
                                &cursor, &block),
          "not without");
    cursor = 0;
    check(!ledger_index_content(&ledger_index, line.sha256, (struct content_meta){true, 1}, &cursor,
                                &block),
          "nor with another");
    ledger_index_free(&ledger_index);
}

static void test_limits(void)
{
    struct ledger_known known;
    struct ledger_note note;

    make_line(VERDICT_MERGED, "a.csv", 1, (UINT64_C(1) << 39) - 400);
    line.rows = (UINT64_C(1) << 36) - 1;
    add();
    ledger_index_name(&ledger_index, "a.csv", &known);
    check(known.last_at == line.at && known.rows == line.rows && known.longest_rows == line.rows,
          "a ledger of 512 GiB, a file of 68 billion rows");
    line.rows = UINT64_MAX;
    line.rejected = 0;
    line.at = (UINT64_C(1) << 39) - 200;
    add();
    ledger_index_name(&ledger_index, "a.csv", &known);
    check(known.rows == (UINT64_C(1) << 36) - 1, "more rows are counted as so many");
    line.at = UINT64_C(1) << 40;
    ledger_index_note(&ledger_index, &line, &note);
    check(ledger_index_add(&ledger_index, &note) < 0, "a larger ledger is refused");
    ledger_index_free(&ledger_index);
}

/* Compare the memory with the number in ledger_index.h. */
static void test_million(void)
{
    const size_t count = place_rounds(1000000);
    struct ledger_known known;
    size_t i, bytes, wrong = 0;
    char text[64];

    ledger_index_reserve(&ledger_index, count);
    for (i = 1; i <= count; i++) {
        snprintf(text, sizeof text, "user_%zu.csv", i);
        make_line(VERDICT_MERGED, text, 1, i * 200);
        memcpy(line.sha256, &i, sizeof i);
        line.rows = i;
        add();
    }
    for (i = 1; i <= count; i++) {
        snprintf(text, sizeof text, "user_%zu.csv", i);
        wrong += !ledger_index_name(&ledger_index, text, &known) || known.last_at != i * 200 ||
                 known.rows != i || known.longest_at != i * 200;
    }
    check(wrong == 0, "%zu names: %zu wrong", count, wrong);
    bytes =
        (ledger_index.by_content.cap + ledger_index.by_name.cap) * sizeof(struct hash_index_slot) +
        ledger_index.count * 32;
    check(bytes < 55 * count + 10000, "take %zu bytes each", bytes / count);
    ledger_index_free(&ledger_index);
}

int main(void)
{
    test_empty();
    test_against_rules();
    test_quarantined();
    test_meta();
    test_limits();
    test_million();
    return unit_done();
}
