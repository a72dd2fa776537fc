#include "store/training.h"

#include <dirent.h>
#include <inttypes.h>

#include "base/log.h"
#include "lib/append.h"
#include "lib/place.h"
#include "lib/unit.h"

#define HEADER "t,v,note,user_id\n"

static int place_fd;
static struct schema schema;
static struct cause cause;

/* A data directory, with a process that has it open. */
struct world {
    char path[64];
    struct datadir dir;
    struct ledger ledger;
    struct training training;
};

static struct world w;
static int drops;            /* result of fake_has_drops */
static unsigned drops_asked; /* number of its calls */

static int fake_has_drops(const struct datadir *dir, struct cause *failure)
{
    drops_asked++;
    check(dir == &w.dir, "has_drops gets the data directory");
    return drops < 0 ? cause_set(failure, CAUSE_RETRY, "cannot list") : drops;
}

static void open_world(bool again)
{
    static unsigned count;

    if (!again)
        snprintf(w.path, sizeof w.path, "%s/%u", place, ++count);
    cause = (struct cause){0};
    if (datadir_open(&w.dir, w.path, &cause) < 0 || datadir_open_drop(&w.dir, &cause) < 0 ||
        ledger_open(&w.ledger, w.dir.state, &cause) < 0 ||
        ledger_refresh(&w.ledger, true, &cause) < 0 ||
        (training_init(&w.training, &w.dir, &schema, fake_has_drops), 0) < 0) {
        printf("Bail out! %s\n", cause.text);
        exit(1);
    }
}

static void close_world(void)
{
    training_close(&w.training);
    training_close(&w.training);
    ledger_close(&w.ledger);
    datadir_close(&w.dir);
}

/* Open the files as another process. */
static int reopen(void)
{
    close_world();
    open_world(true);
    return training_open(&w.training, &w.ledger, &cause);
}

static void merge(const char *name, const char *rows)
{
    static struct ledger_line line;
    struct digest digest;

    line = (struct ledger_line){.verdict = VERDICT_MERGED, .bytes = strlen(rows), .rows = 1};
    line.name = name;
    digest_init(&digest);
    digest_update(&digest, rows, strlen(rows));
    digest_final(&digest, line.sha256);
    append_rows(&w.training, rows, strlen(rows), &line);
    if (ledger_add(&w.ledger, &line, &cause) < 0 || training_commit(&w.training, &cause) < 0 ||
        ledger_commit(&w.ledger, &cause) < 0)
        abort();
}

static void start_world(void)
{
    open_world(false);
    if (training_open(&w.training, &w.ledger, &cause) < 0)
        abort();
}

static bool file_is(const char *text)
{
    return place_holds(w.dir.root, DATADIR_TRAINING, text);
}

/* Return true if the only file in state/cut/ has this text, or, for NULL, if there is none. */
static bool cut_is(const char *text)
{
    DIR *list = fdopendir(openat(w.dir.cut, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const struct dirent *entry;
    bool right = text == NULL;
    int files = 0;

    while ((entry = readdir(list)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        files++;
        right = text != NULL && place_holds(w.dir.cut, entry->d_name, text);
    }
    closedir(list);
    return right && files == (text != NULL);
}

/* ---- a start ------------------------------------------------------------------------------ */

static void test_start(void)
{
    size_t i;

    open_world(false);
    check(training_open(&w.training, &w.ledger, &cause) == 0 && file_is(HEADER),
          "a training file begins with the schema's names");
    check(w.ledger.has_start && w.ledger.start.verdict == VERDICT_STARTED &&
              w.ledger.start.offset == 0 && w.ledger.start.length == strlen(HEADER) &&
              w.ledger.start.range_hash == digest_check(HEADER, strlen(HEADER)) &&
              w.ledger.pending.len == 0,
          "the first line of the ledger records the header");
    check(w.training.header.columns.count == 4 && w.training.appender.end == strlen(HEADER),
          "its columns are known");
    for (i = 0; i < 4; i++)
        check(w.training.header.columns.fields[i] == (int)i, "column %zu is field %zu", i, i);
    check(training_open(&w.training, &w.ledger, &cause) == 0 && w.ledger.next_seq == 2,
          "opening it again changes nothing");
    check(reopen() == 0 && w.ledger.next_seq == 2 && file_is(HEADER), "nor does another process");
    close_world();
}

/* The states in which a crash leaves the header while its line is the last one. */
static void test_header_torn(void)
{
    char torn[64];
    size_t i, wrong = 0;

    start_world();
    unlinkat(w.dir.root, DATADIR_TRAINING, 0);
    check(reopen() == 0 && file_is(HEADER) && w.ledger.next_seq == 2,
          "a missing header is written again, but not recorded again");
    for (i = 0; i < strlen(HEADER); i++) {
        place_put(w.dir.root, DATADIR_TRAINING, HEADER, i);
        if (reopen() < 0 || w.ledger.next_seq != 2 || !file_is(HEADER))
            wrong++;
        memset(torn, 0, sizeof torn);
        memcpy(torn, HEADER, i);
        place_put(w.dir.root, DATADIR_TRAINING, torn, strlen(HEADER));
        if (reopen() < 0 || w.ledger.next_seq != 2 || !file_is(HEADER))
            wrong++;
    }
    check(wrong == 0, "so is one cut at any byte, or with NULs from there on: %zu wrong", wrong);
    merge("a.csv", "1,2,,x\n");
    check(reopen() == 0 && file_is(HEADER "1,2,,x\n"), "rows are appended to it");
    close_world();
}

/* A person replaced the file before anything was merged. */
static void test_header_foreign(void)
{
    static const char *const files[] = {
        "t,v\n1,2\n",
        "user_id,t,v,note\nx,1,2,\n",
        "my notes about this directory, longer than the header\n",
        "v,t,user_id,note\n",
    };
    size_t i;
    int result;

    for (i = 0; i < sizeof files / sizeof *files; i++) {
        start_world();
        unlinkat(w.dir.root, DATADIR_TRAINING, 0);
        place_put_text(w.dir.root, DATADIR_TRAINING, files[i]);
        result = reopen();
        check((result == 0 || cause.kind == CAUSE_CORRUPT || cause.kind == CAUSE_CONFIG) &&
                  file_is(files[i]),
              "a file that is no torn header is not overwritten: %s",
              result == 0 ? "taken" : cause.text);
        close_world();
    }
    start_world();
    place_append(w.dir.root, DATADIR_TRAINING, "1,2,by hand,x\n");
    check(reopen() == 0 && file_is(HEADER) && cut_is("1,2,by hand,x\n"),
          "rows that a person added to the header are saved in state/cut");
    close_world();
}

/* ---- file and ledger disagree ------------------------------------------------------------- */

static bool refused(enum cause_kind kind)
{
    struct buffer ledger = {0}, file = {0}, now = {0};
    bool right, there = place_get(w.dir.root, DATADIR_TRAINING, &file);
    bool has_ledger = place_get(w.dir.state, LEDGER_FILE, &ledger);

    cause = (struct cause){0};
    right = reopen() < 0 && cause.kind == kind;
    if (!right)
        printf("# kind %d: %s\n", (int)cause.kind, cause.text);
    right &= place_get(w.dir.root, DATADIR_TRAINING, &now) == there && now.len == file.len &&
             (now.len == 0 || memcmp(now.data, file.data, now.len) == 0);
    right &= place_get(w.dir.state, LEDGER_FILE, &now) == has_ledger && now.len == ledger.len &&
             (now.len == 0 || memcmp(now.data, ledger.data, now.len) == 0);
    right &= cut_is(NULL);
    /* The same process must refuse it again. */
    right &= training_open(&w.training, &w.ledger, &cause) < 0 && cause.kind == kind;
    buffer_free(&ledger);
    buffer_free(&file);
    buffer_free(&now);
    return right;
}

static void test_disagree(void)
{
    struct buffer file = {0};
    size_t i, wrong = 0;

    start_world();
    merge("a.csv", "1,2,,x\n");
    merge("b.csv", "3,4,last,x\n");
    place_get(w.dir.root, DATADIR_TRAINING, &file);
    for (i = 0; i < file.len; i++) {
        place_put(w.dir.root, DATADIR_TRAINING, file.data, i);
        wrong += !refused(CAUSE_CORRUPT);
    }
    check(wrong == 0, "a shorter file is refused and not changed: %zu wrong", wrong);
    for (i = file.len - strlen("3,4,last,x\n"); i < file.len; i++) {
        file.data[i] ^= 4;
        place_put(w.dir.root, DATADIR_TRAINING, file.data, file.len);
        file.data[i] ^= 4;
        wrong += !refused(CAUSE_CORRUPT);
    }
    check(wrong == 0, "so is one whose last range has changed: %zu wrong", wrong);
    place_put(w.dir.root, DATADIR_TRAINING, file.data, file.len);
    check(reopen() == 0 && file_is(HEADER "1,2,,x\n3,4,last,x\n"), "the restored file is accepted");
    place_put(w.dir.root, "copy", file.data, file.len);
    renameat(w.dir.root, "copy", w.dir.root, DATADIR_TRAINING);
    check(training_open(&w.training, &w.ledger, &cause) == 0, "a copy of it, too");
    place_put(w.dir.root, "copy", file.data, file.len - 1);
    renameat(w.dir.root, "copy", w.dir.root, DATADIR_TRAINING);
    check(training_open(&w.training, &w.ledger, &cause) < 0 && cause.kind == CAUSE_CORRUPT,
          "a shorter copy is refused");
    unlinkat(w.dir.root, DATADIR_TRAINING, 0);
    mkdirat(w.dir.root, DATADIR_TRAINING, 0777);
    check(reopen() < 0 && cause.kind == CAUSE_CORRUPT, "a directory is refused");
    unlinkat(w.dir.root, DATADIR_TRAINING, AT_REMOVEDIR);
    place_put(w.dir.root, "copy", file.data, file.len);
    symlinkat("copy", w.dir.root, DATADIR_TRAINING);
    check(reopen() < 0 && cause.kind == CAUSE_CORRUPT && place_get(w.dir.root, "copy", &file) &&
              file.len > 0,
          "a symbolic link is refused");
    unlinkat(w.dir.root, DATADIR_TRAINING, 0);
    check(reopen() == 0 && file_is(HEADER) && w.ledger.start.seq == 4 &&
              w.ledger.training_end == strlen(HEADER) && ledger_last_at(&w.ledger, "a.csv") != 0,
          "where the file was moved away, a new one is started, and known content stays known");
    merge("c.csv", "5,6,,x\n");
    check(reopen() == 0 && file_is(HEADER "5,6,,x\n") && w.ledger.training_rows == 1,
          "and goes on");
    buffer_free(&file);
    close_world();
}

static void test_tail(void)
{
    start_world();
    merge("a.csv", "1,2,,x\n");
    place_append(w.dir.root, DATADIR_TRAINING, "3,4,,y\n5,");
    check(reopen() == 0 && file_is(HEADER "1,2,,x\n") && cut_is("3,4,,y\n5,"),
          "a tail that was never committed is saved in state/cut and cut off");
    check(w.training.appender.end == strlen(HEADER "1,2,,x\n"), "the end does not count it");
    merge("b.csv", "7,8,,x\n");
    check(reopen() == 0 && file_is(HEADER "1,2,,x\n7,8,,x\n"), "the next rows take its place");
    close_world();
    start_world();
    merge("a.csv", "1,2,,x\n");
    place_append(w.dir.root, DATADIR_TRAINING, "z");
    check(training_open(&w.training, &w.ledger, &cause) == 0 && file_is(HEADER "1,2,,x\n") &&
              cut_is("z"),
          "a tail that appears while the file is open, too");
    close_world();
}

/* ---- a file from before ------------------------------------------------------------------- */

static void check_layout(const int *fields, size_t count, const char *what)
{
    size_t i;

    check(w.training.header.columns.count == count, "%s: %zu columns", what, count);
    for (i = 0; i < count && i < w.training.header.columns.count; i++)
        if (w.training.header.columns.fields[i] != fields[i])
            check(false, "%s: column %zu is field %d", what, i, fields[i]);
}

static void test_adopted(void)
{
    static const char own[] = "user_id,extra,v,t\nx,1,2,3\ny,\"a\nb\",2,3\n\nx,1,2,3\n";
    static const int fields[] = {3, -1, 1, 0};

    open_world(false);
    place_put_text(w.dir.root, DATADIR_TRAINING, own);
    drops = 0;
    drops_asked = 0;
    check(reopen() == 0 && file_is(own) && drops_asked == 1,
          "a file with rows is adopted as it is, if no CSV files are dropped");
    check(w.ledger.start.verdict == VERDICT_ADOPTED && w.ledger.start.rows == 3 &&
              w.ledger.start.length == strlen(own) &&
              w.ledger.start.range_hash == digest_check(own, strlen(own)),
          "and recorded with its %" PRIu64 " rows", w.ledger.start.rows);
    check_layout(fields, 4, "the columns are those of its header");
    merge("a.csv", "z,,5,6\n");
    check(reopen() == 0, "rows are appended to it");
    check_layout(fields, 4, "the columns read again");
    close_world();

    open_world(false);
    place_put_text(w.dir.root, DATADIR_TRAINING, "\xEF\xBB\xBF\"t\",\"v\"\r\n1,2");
    check(reopen() == 0 && file_is("\xEF\xBB\xBF\"t\",\"v\"\r\n1,2\n") && w.ledger.start.rows == 1,
          "its last row gets a line end; BOM and quotes are accepted");
    check_layout((const int[]){0, 1}, 2, "with a BOM");
    close_world();

    open_world(false);
    place_put_text(w.dir.root, DATADIR_TRAINING, "");
    check(reopen() == 0 && file_is(HEADER) && w.ledger.start.verdict == VERDICT_STARTED,
          "an empty file gets a header");
    close_world();

    open_world(false);
    drops = 1;
    place_put_text(w.dir.root, DATADIR_TRAINING, "v,t\n");
    check(reopen() == 0 && file_is("v,t\n") && w.ledger.start.verdict == VERDICT_ADOPTED &&
              w.ledger.start.rows == 0,
          "a header alone is adopted, whatever was dropped");
    close_world();
}

static void test_not_adopted(void)
{
    static const char own[] = "t,v\n1,2\n";

    open_world(false);
    place_put_text(w.dir.root, DATADIR_TRAINING, own);
    drops = 1;
    check(refused(CAUSE_CONFIG), "with CSV files dropped it is refused: they may be in it already");
    drops = -1;
    check(refused(CAUSE_RETRY), "nor is it adopted if the directories cannot be listed");
    check(training_adopt(&w.training, &w.ledger, &cause) == 0 &&
              ledger_commit(&w.ledger, &cause) == 0 && file_is(own) && w.ledger.start.rows == 1 &&
              reopen() == 0,
          "training_adopt takes it nevertheless");
    close_world();
    drops = 0;

    open_world(false);
    place_put_text(w.dir.root, DATADIR_TRAINING, "t,note\n1,2\n");
    check(refused(CAUSE_CONFIG) && strstr(cause.text, "'v'") != NULL,
          "a required field must be in its header");
    place_put_text(w.dir.root, DATADIR_TRAINING, "t,\"v\n1,2\n");
    check(refused(CAUSE_CORRUPT), "a header with an open quote is refused");
    place_put(w.dir.root, DATADIR_TRAINING, "t,v\0\n1,2\n", 9);
    check(refused(CAUSE_CORRUPT), "a header with a NUL is refused");
    unlinkat(w.dir.root, DATADIR_TRAINING, 0);
    cause = (struct cause){0};
    check(training_adopt(&w.training, &w.ledger, &cause) < 0 && cause.kind == CAUSE_NO_INPUT,
          "a missing file cannot be adopted");
    close_world();
}

/* `adopt` takes a damaged file as it is. */
static void test_adopt(void)
{
    start_world();
    merge("a.csv", "1,2,,x\n");
    place_put_text(w.dir.root, DATADIR_TRAINING, "v,t\n8,9");
    check(reopen() < 0 && cause.kind == CAUSE_CORRUPT, "a file that a person edited is refused");
    check(training_adopt(&w.training, &w.ledger, &cause) == 0 &&
              ledger_commit(&w.ledger, &cause) == 0 && file_is("v,t\n8,9\n") &&
              w.ledger.training_end == 8 && w.ledger.training_rows == 1,
          "training_adopt takes it as it is");
    check_layout((const int[]){1, 0}, 2, "the columns of the edited file");
    merge("b.csv", "6,7\n");
    check(reopen() == 0 && file_is("v,t\n8,9\n6,7\n") && cut_is(NULL), "and goes on");
    place_put_text(w.dir.root, DATADIR_TRAINING, "t\n1");
    check(training_adopt(&w.training, &w.ledger, &cause) < 0 && cause.kind == CAUSE_CONFIG &&
              file_is("t\n1"),
          "a file without a required field is not adopted, and not changed");
    close_world();
}

static void test_adopt_nothing(void)
{
    start_world();
    place_put_text(w.dir.root, DATADIR_TRAINING, "");
    check(training_adopt(&w.training, &w.ledger, &cause) < 0 && cause.kind == CAUSE_CORRUPT,
          "an empty file has no header to adopt");
    close_world();
}

/* ---- appending ---------------------------------------------------------------------------- */

/* Append random rows as those of one file: few stay in memory, many make the spill use a file. */
static bool append_random(struct buffer *model, size_t most)
{
    size_t parts = 1 + place_below(4), from = model->len, len, i;
    struct buffer bytes = {0};
    struct spill spill;
    bool same;

    spill_init(&spill, w.dir.state);
    for (; parts > 0; parts--) {
        len = place_below(most);
        for (i = 0; i < len; i++)
            buffer_byte(&bytes, i % 50 == 49 ? '\n' : (char)('a' + place_below(26)));
        buffer_append(model, bytes.data, bytes.len);
        if (spill_add(&spill, &bytes, &cause) < 0)
            abort();
        buffer_clear(&bytes);
    }
    same = spill.length == model->len - from &&
           spill_hash(&spill) == digest_check(model->data + from, model->len - from);
    if (training_append(&w.training, &spill, NULL, &cause) < 0)
        abort();
    buffer_free(&bytes);
    spill_free(&spill);
    return same;
}

static bool file_is_model(const struct buffer *model)
{
    struct buffer now = {0};
    bool same = place_get(w.dir.root, DATADIR_TRAINING, &now) && now.len == model->len &&
                memcmp(now.data, model->data, now.len) == 0;

    buffer_free(&now);
    return same;
}

static void test_appending(void)
{
    const size_t rounds = place_rounds(40);
    size_t i, j, wrong = 0;
    struct buffer model = {0};

    start_world();
    buffer_string(&model, HEADER);
    for (i = 0; i < rounds; i++) {
        for (j = place_below(4); j > 0; j--)
            wrong += !append_random(&model, place_below(5) == 0 ? 3000000 : 20000);
        if (place_below(3) == 0) {
            if (training_rollback(&w.training, w.training.appender.end, &cause) < 0)
                abort();
            model.len = (size_t)w.training.appender.end;
        } else if (training_commit(&w.training, &cause) < 0) {
            abort();
        }
        wrong += w.training.appender.end != model.len || !file_is_model(&model);
    }
    check(wrong == 0, "%zu batches of %zu bytes, some rolled back: %zu wrong", rounds, model.len,
          wrong);
    buffer_free(&model);
    close_world();
}

static void test_tally(void)
{
    struct tally tally = {0};

    start_world();
    merge("a.csv", "1,2,,eva\n3,4,\"x\ny\",udo\n");
    merge("b.csv", "1,2,,eva\n,,,\n");
    check(training_tally(&w.training, strlen(HEADER), w.training.appender.end - strlen(HEADER),
                         &tally, &cause) == 0 &&
              tally.rows == 4 && counter_get(&tally.by[TALLY_USERS], "eva", 3) == 2 &&
              counter_get(&tally.by[TALLY_USERS], "udo", 3) == 1 &&
              counter_get(&tally.by[TALLY_USERS], "", 0) == 1,
          "the rows of a range are counted by user");
    tally_free(&tally);
    check(training_tally(&w.training, 0, w.training.appender.end, &tally, &cause) == 0 &&
              tally.rows == 4,
          "the header does not count");
    tally_free(&tally);
    check(training_tally(&w.training, w.training.appender.end, 0, &tally, &cause) == 0 &&
              tally.rows == 0,
          "an empty range has no rows");
    tally_free(&tally);
    close_world();
}

int main(void)
{
    char path[64];

    alarm(300);
    setvbuf(stdout, NULL, _IOLBF, 0);
    place_fd = place_enter();
    log_set_level(LOG_LEVEL_ERROR);
    place_put_text(place_fd, "schema.ini",
                   "[field.1]\nname = t\ntype = number\nrequired = true\n"
                   "[field.2]\nname = v\nrequired = true\n[field.3]\nname = note\n"
                   "[field.4]\nname = user_id\n");
    snprintf(path, sizeof path, "%s/schema.ini", place);
    if (schema_load(&schema, path, &cause) < 0)
        return 1;
    test_start();
    test_header_torn();
    test_header_foreign();
    test_disagree();
    test_tail();
    test_adopted();
    test_not_adopted();
    test_adopt();
    test_appending();
    test_tally();
    test_adopt_nothing();
    schema_free(&schema);
    close(place_fd);
    return unit_done();
}
