/*
 * Fuzz the other files in state/: what is read from files of any bytes must be the same after it is
 * written and read again.
 *
 * The input is one byte and the file. Its two lowest bits choose the file: 0 waiting.csv, 1
 * tally.csv, 2 seen, 3 names and details of waiting files with 0x1E between them. Bit 2: mend the
 * file first, with its header, its check and, for '@', the id of this boot.
 */
#include <inttypes.h>

#include "base/digest.h"
#include "fuzz.h"
#include "drop/file_cache.h"
#include "store/tally_file.h"
#include "drop/pending_file.h"

#include "fuzz_place.h"

#define MEND 4

static struct schema schema;
static struct datadir where;

static void put(const char *name, const struct buffer *bytes)
{
    place_put(where.state, name, bytes->data == NULL ? "" : bytes->data, bytes->len);
}

/* ---- waiting.csv -------------------------------------------------------------------------- */

static void load_waiting(struct pending *pending)
{
    struct cause cause;

    *pending = (struct pending){0};
    fuzz_require(pending_load(pending, where.state, &cause) == 0, "it is read: %s", cause.text);
}

static void check_waiting(struct pending *first, bool details)
{
    struct pending second;
    struct cause cause;
    size_t i;

    first->changed = true;
    fuzz_require(pending_save(first, where.state, &cause) == 0, "it is written: %s", cause.text);
    load_waiting(&second);
    fuzz_require(second.count == first->count, "%zu files wait, %zu are read again", first->count,
                 second.count);
    for (i = 0; i < first->count; i++) {
        const struct pending_file *a = &first->files[i], *b = pending_find(&second, a->name);

        fuzz_require(b != NULL && b->reason == a->reason, "%s waits for the same", a->name);
        fuzz_require(b->first_seen / 1000000 == a->first_seen / 1000000, "as long");
        fuzz_require((a->detail == NULL || *a->detail == '\0') == (b->detail == NULL),
                     "with a detail or without");
        fuzz_require(!details || b->detail == NULL || strcmp(a->detail, b->detail) == 0,
                     "with the same: %s, %s", a->detail, b->detail);
    }
    pending_free(&second);
}

static void try_waiting(const char *bytes, size_t len, bool mend)
{
    struct buffer text = {0};
    struct pending pending;
    char boot[64] = "";
    FILE *id;
    size_t i;

    if (mend) {
        id = fopen("/proc/sys/kernel/random/boot_id", "re");
        if (id == NULL || fgets(boot, sizeof boot, id) == NULL)
            abort();
        fclose(id);
        boot[strcspn(boot, "\n")] = '\0';
        buffer_string(&text, "name,reason,noticed,boot,since,signature,detail\n");
    }
    for (i = 0; i < len; i++)
        if (mend && bytes[i] == '@')
            buffer_string(&text, boot);
        else
            buffer_byte(&text, bytes[i]);
    put("waiting.csv", &text);
    load_waiting(&pending);
    check_waiting(&pending, true);
    pending_free(&pending);
    buffer_free(&text);
}

static void try_details(const char *bytes, size_t len)
{
    struct pending pending = {0};
    struct pending_file *file = NULL;
    char text[4097];
    size_t i, used = 0;

    for (i = 0; i <= len && used < sizeof text; i++) {
        if (i < len && bytes[i] != 0x1E) {
            text[used++] = bytes[i];
            continue;
        }
        text[used] = '\0';
        if (file != NULL)
            pending_requeue(&pending, file, 0, (enum pending_reason)(i % PENDING_RACY), text);
        file = file != NULL || *text == '\0' ? NULL : pending_add(&pending, text);
        used = 0;
    }
    check_waiting(&pending, false);
    pending_free(&pending);
}

/* ---- tally.csv ---------------------------------------------------------------------------- */

static bool same_counter(const struct counter *left, const struct counter *right)
{
    size_t i;

    for (i = 0; i < left->count; i++)
        if (counter_get(right, left->entries[i].value, left->entries[i].len) !=
            left->entries[i].rows)
            return false;
    return left->count == right->count;
}

static void try_tally(const char *bytes, size_t len, bool mend)
{
    struct buffer text = {0};
    struct tally_file first, second;
    struct cause cause;
    size_t by;

    buffer_string(&text, mend ? "kind,value,count\n" : "");
    buffer_append(&text, bytes, len);
    if (mend)
        buffer_printf(&text, "check,,%016" PRIx64 "\n", digest_check(text.data, text.len));
    put("tally.csv", &text);
    fuzz_require(tally_file_open(&first, &where, &schema, &cause) == 0, "it is read");
    fuzz_require(mend || first.at == 0 || text.len > 24, "nothing is read without a check");
    fuzz_require(tally_file_save(&first, &cause) == 0, "it is written");
    fuzz_require(tally_file_open(&second, &where, &schema, &cause) == 0, "and read again");
    fuzz_require(first.at == second.at && first.tally.rows == second.tally.rows &&
                     same_counter(&first.files, &second.files) &&
                     same_counter(&first.rejected, &second.rejected) &&
                     same_counter(&first.arrivals, &second.arrivals),
                 "the same counts");
    for (by = 0; by < TALLY_COUNT; by++)
        fuzz_require(same_counter(&first.tally.by[by], &second.tally.by[by]),
                     "the same rows by value");
    tally_file_close(&first);
    tally_file_close(&second);
    buffer_free(&text);
}

/* ---- seen --------------------------------------------------------------------------------- */

/* Write a file of as many entries as the bytes have, with a right check. */
static size_t mend_seen(struct buffer *out, const char *bytes, size_t len)
{
    const uint64_t seed = 7;
    const size_t entries = len / sizeof(struct file_cache_entry);
    const size_t size = entries * sizeof(struct file_cache_entry);
    const uint64_t check = digest_seeded(bytes, size, seed);

    buffer_append(out, "PSSEEN3\n", 8);
    buffer_append(out, &seed, sizeof seed);
    buffer_append(out, &check, sizeof check);
    buffer_append(out, bytes, size);
    return entries;
}

static void try_seen(const char *bytes, size_t len, bool mend)
{
    const struct file_id file_id = {1, 2, 3, 4, 5};
    struct buffer text = {0};
    struct file_cache first, second;
    struct cause cause;
    size_t entries = 0;

    if (mend)
        entries = mend_seen(&text, bytes, len);
    else
        buffer_append(&text, bytes, len);
    put("seen", &text);
    fuzz_require(file_cache_open(&first, where.state, &cause) == 0, "it is read");
    fuzz_require(!mend || (first.count <= entries && (first.count > 0) == (entries > 0)),
                 "an entry a name");
    fuzz_require(!file_cache_holds(&first, "a.csv", &file_id, 5), "nothing that it does not hold");
    fuzz_require(file_cache_put(&first, "a.csv", &file_id, 5, true, &cause) == 0 &&
                     file_cache_holds(&first, "a.csv", &file_id, 5) &&
                     file_cache_is_racy(&first, "a.csv") && file_cache_has(&first, "a.csv"),
                 "and what is put into it");
    fuzz_require(file_cache_save(&first, &cause) == 0, "it is written");
    fuzz_require(
        file_cache_open(&second, where.state, &cause) == 0 && second.count == first.count &&
            file_cache_holds(&second, "a.csv", &file_id, 5) && file_cache_is_racy(&second, "a.csv"),
        "and read again");
    file_cache_scan_begin(&second);
    file_cache_scan_end(&second);
    fuzz_require(!file_cache_has(&second, "a.csv"), "a scan that meets nothing leaves nothing");
    file_cache_close(&first);
    file_cache_close(&second);
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data + 1;

    if (size < 1)
        return 0;
    if (where.state == 0) {
        where = (struct datadir){.drop = -1};
        where.state = fuzz_place();
    }
    switch (*data & 3) {
    case 0:
        try_waiting(bytes, size - 1, (*data & MEND) != 0);
        break;
    case 1:
        try_tally(bytes, size - 1, (*data & MEND) != 0);
        break;
    case 2:
        try_seen(bytes, size - 1, (*data & MEND) != 0);
        break;
    default:
        try_details(bytes, size - 1);
    }
    return 0;
}
