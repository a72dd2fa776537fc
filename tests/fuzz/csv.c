/*
 * Check a file of any bytes: fast_path in windows of any size against the reference, the rows
 * written against the same rows read again, and a part of the file against the whole.
 *
 * The input: four bytes of choices in their low bits, then the file. Text serves as well:
 *
 *     0  the schema
 *     1  1: an incomplete last row is left out; 2: bad rows are rejected, not the file;
 *        4: another layout; 8: tight limits
 *     2  low four bits: how many lines were merged before; 0x40 (in letters): but the last line
 *        end; 0x80: other ones of that size
 *     3  low two bits: the name; next three: the window
 */
#include <string.h>

#include "fuzz.h"
#include "judged.h"

#define SCHEMAS 8
#define FLAGS   4

enum { COMPLETE_ONLY = 1, REJECT_ROWS = 2, OTHER_LAYOUT = 4, TIGHT = 8 };

static const char *const schema_texts[SCHEMAS] = {
    NULL, /* the shipped schema */
    "[schema]\nname = x\n[field.1]\nname = n\ntype = number\nminimum = -10\nmaximum = 9.5\n"
    "[field.2]\nname = i\ntype = integer\nminimum = 7\nmaximum = 17\n"
    "[field.3]\nname = s\nminLength = 2\nmaxLength = 5\n[field.4]\nname = b\ntype = boolean\n"
    "[field.5]\nname = d\ntype = date\nminimum = 2024-01-01\nmissingValues = NaN|7\n"
    "[field.6]\nname = z\ntype = datetime\nmaximum = 2030-01-01T00:00:00Z\n",
    "[schema]\nname = x\n[field.1]\nname = v\n",
    "[schema]\nname = x\nextra_fields = drop\n[field.1]\nname = a\n"
    "[field.2]\nname = b\ntype = integer\n[field.3]\nname = phase\ntype = integer\n",
    "[schema]\nname = x\nfilename = {user_id}_{d:%Y%m%d}_{n}.csv\n"
    "[field.1]\nname = d\ntype = date\n[field.2]\nname = e\ntype = datetime\nformat = %d.%m.%Y "
    "%H:%M\n"
    "[field.3]\nname = n\ntype = integer\nrequired = true\nmissingValues = -|n/a\n"
    "[field.4]\nname = user_id\npattern = [a-z]+|x{2,3}\nmaxLength = 4\n"
    "[field.5]\nname = label\nenum = a,b|c d|\"e\n",
    "[schema]\nname = x\n[field.1]\nname = user_id\ntype = integer\n[field.2]\nname = source\n"
    "type = number\nmaximum = 100\n[field.3]\nname = label\ntype = boolean\nrequired = true\n"
    "[field.4]\nname = phase\ndefault = a,\"b\"\n",
    "[schema]\nname = x\n[field.1]\nname = v\ntype = number\nrequired = true\n",
    "[schema]\nname = x\n[field.1]\nname = a\ntype = number\nenum = 1|1.0|2\n"
    "[field.2]\nname = b,c\ntype = number\npattern = [0-9]\\.[0-9]\n"
    "[field.3]\nname = c\ntype = integer\nmaximum = 99999999999999999999\n",
};

static const char *const names[4] = {"x.csv", "eva_20240101_7.csv",
                                     "user_001_external_20240101_120000.csv", "a\"b,\n_web_.csv"};

static struct schema schemas[SCHEMAS];
static struct training_columns layouts[SCHEMAS], others[SCHEMAS];
static struct config configs[FLAGS], wide;
static struct outcome fast_path[SCHEMAS][FLAGS], reference[SCHEMAS][FLAGS]; /* both ways */
static struct outcome parts[SCHEMAS][FLAGS], again[SCHEMAS]; /* readings to compare with */
static int file, copy;

/* Limit the reader's window to `window` bytes: linked with --wrap=csv_reader_space. */
static size_t window; /* 0: no limit */
char *__real_csv_reader_space(struct csv_reader *rows, size_t *ret_len);
char *__wrap_csv_reader_space(struct csv_reader *rows, size_t *ret_len);

char *__wrap_csv_reader_space(struct csv_reader *rows, size_t *ret_len)
{
    char *space = __real_csv_reader_space(rows, ret_len);

    if (window > 0 && window < *ret_len)
        *ret_len = window;
    return space;
}

/* Reverse the columns, and add one that the schema does not have. */
static void turn_round(struct training_columns *to, const struct training_columns *from)
{
    size_t i;

    to->count = from->count + 1;
    to->fields = calloc(to->count, sizeof *to->fields);
    if (to->fields == NULL)
        abort();
    for (i = 0; i < to->count; i++)
        to->fields[i] = (int)from->count - 1 - (int)i;
}

static void load(size_t number)
{
    struct cause cause;
    char path[64];
    int status;
    size_t i;

    if (schema_texts[number] == NULL) {
        status = schema_load(&schemas[number], SHIPPED_SCHEMA, &cause);
    } else {
        fuzz_put(file, schema_texts[number], strlen(schema_texts[number]));
        status = schema_load(&schemas[number], fuzz_path(file, path), &cause);
    }
    if (status < 0 || training_columns_of_schema(&layouts[number], &schemas[number], &cause) < 0)
        fuzz_require(false, "%s", cause.text);
    turn_round(&others[number], &layouts[number]);
    for (i = 0; i < FLAGS; i++) {
        twice_init(&fast_path[number][i], &schemas[number], &configs[i]);
        twice_init(&reference[number][i], &schemas[number], &configs[i]);
        twice_init(&parts[number][i], &schemas[number], &configs[i]);
        csv_reader_use_reference(reference[number][i].file_check.rows, true);
    }
    twice_init(&again[number], &schemas[number], &wide);
}

static void start(void)
{
    size_t i;

    file = fuzz_file();
    copy = fuzz_file();
    wide = (struct config){.max_row_bytes = 1 << 20, .max_columns = 1024, .max_reported_errors = 9};
    for (i = 0; i < FLAGS; i++)
        configs[i] = (struct config){
            .bad_rows = i % 2 == 1 ? CONFIG_REJECT_ROWS : CONFIG_REJECT_FILE,
            .max_bad_percent = i % 2 == 1 ? 60 : 100,
            .newline_required = i == 2,
            .max_row_bytes = i >= 2 ? 48 : 4096,
            .max_columns = i >= 2 ? 6 : 64,
            .max_reported_errors = i >= 2 ? 3 : 100,
        };
    for (i = 0; i < SCHEMAS; i++)
        load(i);
}

static void read_in_windows(struct outcome *outcome, const struct file_check_request *order,
                            size_t size)
{
    window = size;
    twice_read(outcome, order);
    window = 0;
}

/* Return the length of the first `lines` lines, or 0 if there are fewer. */
static size_t prefix_of(const char *bytes, size_t len, size_t lines)
{
    const char *at = bytes, *end = bytes + len;

    for (; lines > 0 && at < end; lines--) {
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL)
            return 0;
        at++;
    }
    return (size_t)(at - bytes);
}

/* Check that the complete rows alone give the same result. */
static void check_complete(const struct outcome *outcome, const struct file_check_request *order,
                           struct outcome *part)
{
    struct file_check_request shorter = *order;
    const char *what;

    shorter.size = outcome->check_result.bytes;
    shorter.complete_only = false;
    judged_forget(&part->file_check);
    twice_read(part, &shorter);
    part->check_result.rest = outcome->check_result.rest;
    what = twice_difference(outcome, part);
    fuzz_require(what == NULL, "its complete rows alone are judged the same: %s", what);
}

/* Check that the merged rows and the new ones are together the rows of the whole file. */
static void check_grown(const struct outcome *grown, const struct file_check_request *order,
                        const char *bytes, struct outcome *part)
{
    const struct check_result *whole = &part->check_result;
    struct file_check_request post_commit = *order;
    uint64_t rows, len;

    post_commit.prefix.bytes = 0;
    post_commit.size = order->prefix.bytes;
    post_commit.complete_only = false;
    judged_forget(&part->file_check);
    twice_read(part, &post_commit);
    rows = part->check_result.rows;
    len = part->rows.len;
    /* An open quote, or a CR without its LF, was booked as a bad row; the whole file may close it.
     */
    if (part->check_result.violations.counts[VIOLATION_UNTERMINATED_QUOTE] > 0 ||
        (part->check_result.bad_rows > 0 && bytes[order->prefix.bytes - 1] == '\r'))
        return;
    post_commit.size = order->size;
    post_commit.complete_only = order->complete_only;
    twice_read(part, &post_commit);
    if (check_result_rejects(whole, part->file_check.config) ||
        check_result_rejects(&grown->check_result, grown->file_check.config))
        return;
    fuzz_require(memcmp(whole->sha256, grown->check_result.sha256, DIGEST_SIZE) == 0,
                 "a file's hash does not depend on what is booked");
    fuzz_require(whole->rows == rows + grown->check_result.rows &&
                     part->rows.len == len + grown->rows.len,
                 "what was booked and what has grown are the whole");
    fuzz_require(grown->rows.len == 0 ||
                     memcmp(part->rows.data + len, grown->rows.data, grown->rows.len) == 0,
                 "and what has grown is its last part");
}

/* Choose merged content, which is a beginning of the file that is accepted as such. */
static void choose_prefix(struct file_check_request *order, const char *bytes, uint8_t choice,
                          struct outcome *part)
{
    struct file_check_request post_commit = *order;
    struct digest digest;

    post_commit.size = prefix_of(bytes, order->size, choice & 15);
    post_commit.size -= post_commit.size > 0 && (choice & 0x40) != 0;
    post_commit.complete_only = false;
    judged_forget(&part->file_check);
    twice_read(part, &post_commit);
    if (part->check_result.rows == 0 ||
        check_result_rejects(&part->check_result, part->file_check.config))
        return;
    order->prefix.bytes = post_commit.size;
    digest_init(&digest);
    digest_update(&digest, bytes, post_commit.size);
    digest_final(&digest, order->prefix.sha256);
    order->prefix.sha256[7] ^= choice & 0x80;
}

static void file_check(const char *bytes, size_t size, const uint8_t choice[4])
{
    static const size_t windows[8] = {0, 64, 65, 71, 96, 127, 200, 1000};
    size_t number = choice[0] % SCHEMAS, flags = choice[1];
    size_t config = (flags & TIGHT ? 2 : 0) + (flags & REJECT_ROWS ? 1 : 0);
    struct outcome *left = &fast_path[number][config], *right = &reference[number][config];
    struct outcome *part = &parts[number][config];
    struct file_check_request order = {.fd = file,
                                       .name = names[choice[3] % 4],
                                       .layout = flags & OTHER_LAYOUT ? &others[number]
                                                                      : &layouts[number],
                                       .size = size,
                                       .complete_only = flags & COMPLETE_ONLY};
    const char *what;

    fuzz_put(file, bytes, size);
    choose_prefix(&order, bytes, choice[2], part);
    judged_forget(&left->file_check);
    judged_forget(&right->file_check);
    read_in_windows(left, &order, windows[choice[3] / 4 % 8]);
    read_in_windows(right, &order, 0);
    what = twice_difference(left, right);
    fuzz_require(what == NULL, "the quick way says the same: %s", what);

    judged_check_counts(left, &order);
    if (!check_result_rejects(&left->check_result, left->file_check.config) &&
        !(flags & OTHER_LAYOUT))
        judged_check_written(left, &again[number], &layouts[number], copy);
    if (order.complete_only)
        check_complete(left, &order, part);
    if (left->check_result.prefix_found)
        check_grown(left, &order, bytes, part);
    else
        fuzz_require(order.prefix.bytes == 0 || (choice[2] & 0x80) != 0 ||
                         left->check_result.continued_line > 0,
                     "what was booked is found");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    if (schemas[0].count == 0)
        start();
    file_check((const char *)data + 4, size - 4, data);
    return 0;
}
