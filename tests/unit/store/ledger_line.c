#include "store/ledger_line.h"

#include "lib/place.h"
#include "lib/unit.h"

static uint64_t random_number(void)
{
    return place_random() >> place_below(64);
}

/* Write a random name: any bytes but NUL, short or long. */
static void random_name(char name[LEDGER_NAME_SIZE])
{
    size_t len = 1 + place_below(place_below(8) == 0 ? LEDGER_NAME_SIZE - 1 : 60), i;
    bool odd = place_below(2) == 0;

    for (i = 0; i < len; i++)
        name[i] = odd ? (char)(1 + place_below(255)) : (char)('a' + place_below(26));
    name[len] = '\0';
}

static void random_line(struct ledger_line *line)
{
    static char name[LEDGER_NAME_SIZE];
    size_t i;

    *line = (struct ledger_line){.seq = random_number(),
                                 .batch = random_number(),
                                 .verdict = (enum verdict)place_below(VERDICT_COUNT),
                                 .bytes = random_number(),
                                 .has_meta = place_below(2) == 0,
                                 .rows = random_number(),
                                 .rejected = random_number(),
                                 .duplicate = random_number(),
                                 .offset = random_number(),
                                 .length = random_number(),
                                 .range_hash = place_random(),
                                 .at = 77};
    line->time = (int64_t)(place_random() >> 1) / 1000000 * 1000000;
    line->meta = line->has_meta ? random_number() : 0;
    for (i = 0; i < DIGEST_SIZE; i++)
        line->sha256[i] = (unsigned char)place_random();
    random_name(name);
    line->name = name;
}

static bool same(const struct ledger_line *a, const struct ledger_line *b)
{
    return a->seq == b->seq && a->batch == b->batch && a->time == b->time &&
           a->verdict == b->verdict && strcmp(a->name, b->name) == 0 && a->bytes == b->bytes &&
           memcmp(a->sha256, b->sha256, DIGEST_SIZE) == 0 && a->has_meta == b->has_meta &&
           a->meta == b->meta && a->rows == b->rows && a->rejected == b->rejected &&
           a->duplicate == b->duplicate && a->offset == b->offset && a->length == b->length &&
           a->range_hash == b->range_hash && a->at == b->at;
}

static struct ledger_line line, back;
static char back_name[LEDGER_NAME_SIZE];

static void test_round_trip(void)
{
    const size_t rounds = place_rounds(50000);
    char longest[LEDGER_NAME_SIZE];
    struct buffer text = {0};
    size_t i, wrong = 0, shortest = SIZE_MAX;

    for (i = 0; i < rounds; i++) {
        random_line(&line);
        buffer_clear(&text);
        ledger_line_print(&text, &line);
        back.at = 77;
        wrong += text.data[text.len - 1] != '\n' || text.len > LEDGER_LINE_MAX_SIZE ||
                 !ledger_line_parse(text.data, text.len - 1, &back, back_name) ||
                 !same(&line, &back);
    }
    check(wrong == 0, "%zu random lines come back: %zu wrong", rounds, wrong);
    line = (struct ledger_line){.verdict = VERDICT_GROWN, .name = "a"};
    buffer_clear(&text);
    ledger_line_print(&text, &line);
    shortest = text.len;
    check(shortest > LEDGER_LINE_MIN_SIZE &&
              ledger_line_parse(text.data, text.len - 1, &back, back_name),
          "the shortest line has %zu bytes", shortest);
    memset(longest, '\xFF', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    line.name = longest;
    buffer_clear(&text);
    ledger_line_print(&text, &line);
    check(text.len < LEDGER_LINE_MAX_SIZE &&
              ledger_line_parse(text.data, text.len - 1, &back, back_name) &&
              strcmp(line.name, back.name) == 0,
          "the longest line has %zu bytes", text.len);
    buffer_free(&text);
}

/* Parse altered lines, with a right check or a wrong one. A line that is accepted must be printed
 * as the same bytes. */
static void test_altered(void)
{
    const size_t rounds = place_rounds(200000);
    struct buffer text = {0}, was = {0}, again = {0};
    size_t i, len, wrong = 0, taken = 0;
    char *exact, check[32];

    for (i = 0; i < rounds; i++) {
        random_line(&line);
        buffer_clear(&text);
        ledger_line_print(&text, &line);
        len = text.len - 1;
        buffer_clear(&was);
        buffer_append(&was, text.data, len);
        switch (place_below(3)) {
        case 0:
            text.data[place_below(len)] ^= (char)(1 << place_below(8));
            break;
        case 1:
            len = place_below(len);
            break;
        default:
            text.data[place_below(len)] = ",\n0-%"[place_below(5)];
        }
        /* Use a buffer of just this length, so that ASan finds a read behind it. */
        exact = malloc(len + 1);
        if (exact == NULL)
            abort();
        memcpy(exact, text.data, len);
        wrong += ledger_line_parse(exact, len, &back, back_name) &&
                 (len != was.len || memcmp(exact, was.data, len) != 0);
        if (len > 17) {
            snprintf(check, sizeof check, ",%016llx",
                     (unsigned long long)digest_check(exact, len - 17));
            memcpy(exact + len - 17, check, 17);
            if (ledger_line_parse(exact, len, &back, back_name)) {
                buffer_clear(&again);
                ledger_line_print(&again, &back);
                taken++;
                wrong += back.name[0] == '\0' ||
                         (again.len == len + 1 && memcmp(again.data, exact, len) != 0);
            }
        }
        free(exact);
    }
    check(wrong == 0 && taken > 0, "%zu altered lines, %zu of them accepted: %zu wrong", rounds,
          taken, wrong);
    buffer_free(&text);
    buffer_free(&was);
    buffer_free(&again);
}

static void test_numbers(void)
{
    static const char *const numbers[] = {"0",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "",
                                          "184467440737095516150",
                                          "-1",
                                          "+1",
                                          " 1",
                                          "1 ",
                                          "0x10",
                                          "99999999999999999999"};
    static const char sha[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct buffer text = {0};
    size_t i;

    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buffer_clear(&text);
        buffer_printf(&text,
                      "1,1,2024-02-29T12:00:00.000Z,merged,a.csv,%s,%s,,1,2,3,4,5,"
                      "2d06800538d394c2",
                      numbers[i], sha);
        buffer_printf(&text, ",%016llx", (unsigned long long)digest_check(text.data, text.len));
        check(ledger_line_parse(text.data, text.len, &back, back_name) == (i < 2), "bytes '%s'",
              numbers[i]);
    }
    check(back.name[0] != '\0', "the cells before it were read");
    buffer_free(&text);
}

int main(void)
{
    test_round_trip();
    test_altered();
    test_numbers();
    return unit_done();
}
