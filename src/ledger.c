/*
 * The format of state/ledger.csv. A header, then a line a verdict:
 *
 *     seq,batch,time,verdict,name,bytes,sha256,meta,rows,rejected,duplicate,offset,length,range_hash,check
 *
 * No cell is ever quoted: in `name` bytes outside A-Za-z0-9._~-/ stand as %XX, the others hold
 * digits, letters, - : and . time is UTC. meta is 16 hex digits or empty. A line without rows has
 * the length 0, the hash of no bytes and, as its offset, the end of the training file so far. check
 * is the XXH3-64 of the line before its last comma.
 */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "durable.h"
#include "text.h"

#define HEADER                                                                                     \
    "seq,batch,time,verdict,name,bytes,sha256,meta,rows,rejected,duplicate,offset,length,range_"   \
    "hash,check\n"
#define HEADER_SIZE   (sizeof HEADER - 1)
#define LINE_MAX_SIZE (3 * LEDGER_NAME_SIZE + 512)
#define CHUNK_SIZE    (1024 * 1024)
#define CELLS         15

struct ledger_name {
    uint64_t last_at; /* the last line of this name */
    uint64_t
        longest_at; /* the one with the longest content that is in the training file; 0: none */
    uint64_t longest_bytes;
    uint64_t longest_rows; /* good and bad */
    uint64_t rows;         /* of its present content, good and bad; 0 when that is in quarantine */
};

static const char *const verdict_names[VERDICT_COUNT] = {
    "started", "adopted", "merged", "grown", "duplicate", "quarantined", "forgotten"};

const char *verdict_name(enum verdict verdict)
{
    return verdict_names[verdict];
}

static bool counts_as_known(enum verdict verdict)
{
    return verdict == VERDICT_MERGED || verdict == VERDICT_GROWN || verdict == VERDICT_DUPLICATE ||
           verdict == VERDICT_FORGOTTEN;
}

static void format_line(struct buffer *out, const struct ledger_line *line)
{
    char when[TEXT_TIME_SIZE];
    size_t start = out->len;

    buffer_printf(out, "%" PRIu64 ",%" PRIu64 ",%s,%s,", line->seq, line->batch,
                  text_time(when, line->time), verdict_names[line->verdict]);
    text_percent(out, line->name, strlen(line->name));
    buffer_printf(out, ",%" PRIu64 ",", line->bytes);
    digest_hex(out, line->sha256, DIGEST_SIZE);
    buffer_byte(out, ',');
    if (line->has_meta)
        buffer_printf(out, "%016" PRIx64, line->meta);
    buffer_printf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%016" PRIx64,
                  line->rows, line->rejected, line->duplicate, line->offset, line->length,
                  line->range_hash);
    if (!buffer_failed(out))
        buffer_printf(out, ",%016" PRIx64 "\n", digest_check(out->data + start, out->len - start));
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(const struct buffer cell, unsigned char *out, size_t bytes)
{
    size_t i;
    int high, low;

    if (cell.len != bytes * 2)
        return false;
    for (i = 0; i < bytes; i++) {
        high = hex_digit(cell.data[2 * i]);
        low = hex_digit(cell.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static bool parse_hash(const struct buffer cell, uint64_t *ret_hash)
{
    unsigned char bytes[8];
    size_t i;

    if (!parse_hex(cell, bytes, sizeof bytes))
        return false;
    *ret_hash = 0;
    for (i = 0; i < sizeof bytes; i++)
        *ret_hash = *ret_hash << 8 | bytes[i];
    return true;
}

static bool parse_name(const struct buffer cell, char name[LEDGER_NAME_SIZE])
{
    struct buffer raw = {0};
    bool valid = text_unpercent(&raw, cell.data, cell.len) == 0 && raw.len > 0 &&
                 raw.len < LEDGER_NAME_SIZE && !buffer_failed(&raw) &&
                 memchr(raw.data, '\0', raw.len) == NULL;

    if (valid) {
        memcpy(name, raw.data, raw.len);
        name[raw.len] = '\0';
    }
    buffer_free(&raw);
    return valid;
}

/* `text` is a line without its LF. */
static bool parse_line(const char *text, size_t len, struct ledger_line *line)
{
    struct buffer cells[CELLS] = {{0}};
    const char *from = text, *end = text + len;
    uint64_t check;
    size_t i, v;

    for (i = 0; i < CELLS; i++) {
        const char *comma = i + 1 < CELLS ? memchr(from, ',', (size_t)(end - from)) : end;

        if (comma == NULL)
            return false;
        /* Borrowed, never grown or freed: a view with the type at hand. */
        cells[i].data = (char *)(uintptr_t)from;
        cells[i].len = (size_t)(comma - from);
        from = comma + 1;
    }
    if (!parse_hash(cells[14], &check) || check != digest_check(text, len - cells[14].len - 1))
        return false;
    for (v = 0; v < VERDICT_COUNT; v++)
        if (strlen(verdict_names[v]) == cells[3].len &&
            memcmp(verdict_names[v], cells[3].data, cells[3].len) == 0)
            break;
    if (v == VERDICT_COUNT)
        return false;
    line->verdict = (enum verdict)v;
    line->has_meta = cells[7].len > 0;
    line->meta = 0;
    return text_number(cells[0].data, cells[0].len, UINT64_MAX, &line->seq) &&
           text_number(cells[1].data, cells[1].len, UINT64_MAX, &line->batch) &&
           text_parse_time(cells[2].data, cells[2].len, &line->time) &&
           parse_name(cells[4], line->name) &&
           text_number(cells[5].data, cells[5].len, UINT64_MAX, &line->bytes) &&
           parse_hex(cells[6], line->sha256, DIGEST_SIZE) &&
           (!line->has_meta || parse_hash(cells[7], &line->meta)) &&
           text_number(cells[8].data, cells[8].len, UINT64_MAX, &line->rows) &&
           text_number(cells[9].data, cells[9].len, UINT64_MAX, &line->rejected) &&
           text_number(cells[10].data, cells[10].len, UINT64_MAX, &line->duplicate) &&
           text_number(cells[11].data, cells[11].len, UINT64_MAX, &line->offset) &&
           text_number(cells[12].data, cells[12].len, UINT64_MAX, &line->length) &&
           parse_hash(cells[13], &line->range_hash);
}

static uint64_t content_key(const unsigned char sha256[DIGEST_SIZE], bool has_meta, uint64_t meta)
{
    uint64_t key;

    memcpy(&key, sha256, sizeof key);
    return has_meta ? key ^ meta : key;
}

static struct ledger_name *find_name(const struct ledger *ledger, const char *name)
{
    size_t cursor = 0;
    struct map_slot *slot = map_find(&ledger->by_name, digest_check(name, strlen(name)), &cursor);

    return slot == NULL ? NULL : &ledger->names[slot->value - 1];
}

static struct ledger_name *make_name(struct ledger *ledger, const char *name)
{
    struct ledger_name *known = find_name(ledger, name);

    if (known != NULL)
        return known;
    if (ledger->name_count == ledger->name_cap) {
        size_t cap = ledger->name_cap < 64 ? 64 : ledger->name_cap + ledger->name_cap / 2;
        struct ledger_name *names = realloc(ledger->names, cap * sizeof *names);

        if (names == NULL)
            return NULL;
        ledger->names = names;
        ledger->name_cap = cap;
    }
    if (map_put(&ledger->by_name, digest_check(name, strlen(name)), ledger->name_count + 1) < 0)
        return NULL;
    ledger->names[ledger->name_count] = (struct ledger_name){0};
    return &ledger->names[ledger->name_count++];
}

/* The start of a training file begins its counts anew; what was merged stays known. */
static void absorb_start(struct ledger *ledger, const struct ledger_line *line)
{
    ledger->has_start = true;
    ledger->start = *line;
    ledger->training_end = line->length;
    ledger->training_rows = line->rows;
    ledger->last_range = *line;
    ledger->start_is_last = true;
}

static int absorb(struct ledger *ledger, const struct ledger_line *line, struct cause *cause)
{
    struct ledger_name *known;

    ledger->next_seq = line->seq + 1;
    ledger->batch = line->batch;
    ledger->last_time = line->time;
    ledger->files[line->verdict]++;
    if (line->verdict == VERDICT_STARTED || line->verdict == VERDICT_ADOPTED) {
        absorb_start(ledger, line);
        return 0;
    }
    ledger->start_is_last = false;
    ledger->training_end = line->offset + line->length;
    if (line->length > 0)
        ledger->last_range = *line;
    if (line->verdict == VERDICT_FORGOTTEN) {
        ledger->forgotten += line->rows;
    } else {
        ledger->rows += line->rows;
        ledger->training_rows += line->rows;
    }
    ledger->rejected += line->rejected;
    ledger->duplicate += line->duplicate;
    if (line->verdict == VERDICT_MERGED || line->verdict == VERDICT_GROWN)
        ledger->last_merge = line->time;

    known = make_name(ledger, line->name);
    if (known == NULL)
        return cause_memory(cause);
    known->last_at = line->at;
    /* Grown from another name's content: that content's rows are duplicates here. */
    if (line->verdict == VERDICT_GROWN && line->duplicate == 0)
        known->rows = (line->bytes > known->longest_bytes ? known->longest_rows : known->rows) +
                      line->rows + line->rejected;
    else if (line->verdict == VERDICT_QUARANTINED)
        known->rows = 0;
    else if (line->verdict != VERDICT_FORGOTTEN)
        known->rows = line->rows + line->rejected + line->duplicate;
    if (line->verdict != VERDICT_QUARANTINED && line->verdict != VERDICT_FORGOTTEN &&
        line->bytes >= known->longest_bytes) {
        known->longest_at = line->at;
        known->longest_bytes = line->bytes;
        known->longest_rows = known->rows;
    }
    if (counts_as_known(line->verdict) &&
        map_put(&ledger->by_content, content_key(line->sha256, line->has_meta, line->meta),
                line->at) < 0)
        return cause_memory(cause);
    return 0;
}

static bool follows(const struct ledger *ledger, const struct ledger_line *line)
{
    bool start = line->verdict == VERDICT_STARTED || line->verdict == VERDICT_ADOPTED;

    return line->seq == ledger->next_seq && line->batch <= line->seq &&
           (start ? line->offset == 0 : ledger->has_start && line->offset == ledger->training_end);
}

static void forget_all(struct ledger *ledger)
{
    struct ledger empty = {.dir_fd = ledger->dir_fd,
                           .fd = ledger->fd,
                           .device = ledger->device,
                           .inode = ledger->inode,
                           .cut = ledger->cut,
                           .next_seq = 1};

    map_free(&ledger->by_content);
    map_free(&ledger->by_name);
    free(ledger->names);
    buffer_free(&ledger->pending);
    *ledger = empty;
}

/* Opens the file that stands there now. *ret_changed: it is another one than before. */
static int open_file(struct ledger *ledger, bool *ret_changed, struct cause *cause)
{
    struct stat st;
    int fd;

    *ret_changed = false;
    if (fstatat(ledger->dir_fd, LEDGER_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return cause_errno(cause, CAUSE_TROUBLE, "cannot look at state/" LEDGER_FILE);
        *ret_changed = ledger->fd >= 0;
        if (ledger->fd >= 0)
            close(ledger->fd);
        ledger->fd = -1;
        return 0;
    }
    if (ledger->fd >= 0 && st.st_dev == ledger->device && st.st_ino == ledger->inode)
        return 0;
    fd = openat(ledger->dir_fd, LEDGER_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EROFS))
        fd = openat(ledger->dir_fd, LEDGER_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        cause_errno(cause, CAUSE_TROUBLE, "cannot open state/" LEDGER_FILE);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (ledger->fd >= 0)
        close(ledger->fd);
    ledger->fd = fd;
    ledger->device = st.st_dev;
    ledger->inode = st.st_ino;
    *ret_changed = true;
    return 0;
}

int ledger_open(struct ledger *ledger, int dir_fd, struct cause *cause)
{
    bool changed;

    *ledger = (struct ledger){.dir_fd = dir_fd, .fd = -1, .next_seq = 1};
    return open_file(ledger, &changed, cause);
}

void ledger_close(struct ledger *ledger)
{
    forget_all(ledger);
    if (ledger->fd >= 0)
        close(ledger->fd);
    ledger->fd = -1;
}

int ledger_create(struct ledger *ledger, struct cause *cause)
{
    bool changed;

    if (durable_replace(ledger->dir_fd, LEDGER_FILE, HEADER, HEADER_SIZE, true, cause) < 0 ||
        open_file(ledger, &changed, cause) < 0)
        return -1;
    forget_all(ledger);
    ledger->end = HEADER_SIZE;
    return 0;
}

static int read_header(struct ledger *ledger, struct cause *cause)
{
    char header[HEADER_SIZE];
    ssize_t n = durable_read(ledger->fd, header, HEADER_SIZE, 0, "state/" LEDGER_FILE, cause);

    if (n < 0)
        return -1;
    if ((size_t)n != HEADER_SIZE || memcmp(header, HEADER, HEADER_SIZE) != 0)
        return cause_set(
            cause, CAUSE_DAMAGED,
            "state/" LEDGER_FILE
            " does not begin with the header of a ledger: nothing was touched; put "
            "the right file back, or move it away and run: phasesentinel adopt --drops merged|new");
    ledger->end = HEADER_SIZE;
    return 0;
}

/* Reads good lines up to the end or the first bad one. */
static int read_lines(struct ledger *ledger, struct cause *cause)
{
    struct ledger_line *line = malloc(sizeof *line);
    char *chunk = malloc(CHUNK_SIZE);
    int result = -1;

    if (line == NULL || chunk == NULL) {
        cause_memory(cause);
        goto out;
    }
    for (;;) {
        ssize_t n =
            durable_read(ledger->fd, chunk, CHUNK_SIZE, ledger->end, "state/" LEDGER_FILE, cause);
        const char *from = chunk, *end = chunk + n, *lf;

        if (n < 0)
            goto out;
        while ((lf = memchr(from, '\n', (size_t)(end - from))) != NULL) {
            if (!parse_line(from, (size_t)(lf - from), line) || !follows(ledger, line))
                break;
            line->at = ledger->end;
            if (absorb(ledger, line, cause) < 0)
                goto out;
            ledger->end += (uint64_t)(lf + 1 - from);
            from = lf + 1;
        }
        /* Nothing taken: the end, or a line that is bad or torn. */
        if (from == chunk)
            break;
    }
    result = 0;
out:
    free(chunk);
    free(line);
    return result;
}

/*
 * Behind ledger->end stands something that is no next line. Was it all written in the last batch?
 * Then no more than that batch is in doubt and it may be cut. The last batch is the last good
 * line's, or one that begins with the bad line.
 */
static int judge_tail(struct ledger *ledger, uint64_t size, struct cause *cause)
{
    struct ledger_line *line = malloc(sizeof *line);
    struct buffer tail = {0};
    const char *from, *end, *lf;
    int result = -1;

    if (line == NULL || buffer_reserve(&tail, size - ledger->end + 1) < 0) {
        cause_memory(cause);
        goto out;
    }
    if (durable_read(ledger->fd, tail.data, size - ledger->end, ledger->end, "state/" LEDGER_FILE,
                     cause) != (ssize_t)(size - ledger->end))
        goto out;
    from = tail.data;
    end = tail.data + (size - ledger->end);
    while ((lf = memchr(from, '\n', (size_t)(end - from))) != NULL) {
        if (parse_line(from, (size_t)(lf - from), line) && line->batch != ledger->batch &&
            line->batch != ledger->next_seq) {
            cause_set(cause, CAUSE_DAMAGED,
                      "state/" LEDGER_FILE " is damaged at byte %" PRIu64 " (line %" PRIu64
                      "), before its last batch: nothing was touched; put back a copy of "
                      "data_dir/state and the "
                      "training file of the same time, or move state/" LEDGER_FILE
                      " away and run: phasesentinel adopt --drops merged|new",
                      ledger->end, ledger->next_seq + 1);
            goto out;
        }
        from = lf + 1;
    }
    result = 0;
out:
    buffer_free(&tail);
    free(line);
    return result;
}

int ledger_refresh(struct ledger *ledger, bool repair, struct cause *cause)
{
    struct stat st;
    bool changed;

    if (open_file(ledger, &changed, cause) < 0)
        return -1;
    if (ledger->fd < 0) {
        if (changed)
            forget_all(ledger);
        return 0;
    }
    if (fstat(ledger->fd, &st) < 0)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot look at state/" LEDGER_FILE);
    if (changed || (uint64_t)st.st_size < ledger->end)
        forget_all(ledger);
    if (ledger->end == 0 && read_header(ledger, cause) < 0)
        return -1;
    if ((uint64_t)st.st_size == ledger->end)
        return 0;
    if (read_lines(ledger, cause) < 0)
        return -1;
    if (!repair || fstat(ledger->fd, &st) < 0 || (uint64_t)st.st_size == ledger->end)
        return 0;
    if (judge_tail(ledger, (uint64_t)st.st_size, cause) < 0)
        return -1;
    ledger->cut += (uint64_t)st.st_size - ledger->end;
    return durable_truncate(ledger->fd, ledger->end, "state/" LEDGER_FILE, cause) < 0
               ? -1
               : durable_sync(ledger->fd, "state/" LEDGER_FILE, cause);
}

int ledger_make_durable(struct ledger *ledger, struct cause *cause)
{
    struct stat st;
    bool changed;

    if (open_file(ledger, &changed, cause) < 0)
        return -1;
    if (ledger->fd < 0)
        return 0;
    if (fstat(ledger->fd, &st) < 0)
        return cause_errno(cause, CAUSE_TROUBLE, "cannot look at state/" LEDGER_FILE);
    if (durable_copy(ledger->fd, 0, (uint64_t)st.st_size, ledger->dir_fd, LEDGER_FILE, cause) < 0)
        return -1;
    /* Another inode now: the next refresh reads it anew. */
    return 0;
}

/* The line at this place; *ret_next is the place behind it. */
static int read_at(const struct ledger *ledger, uint64_t at, struct ledger_line *ret_line,
                   uint64_t *ret_next, struct cause *cause)
{
    char line[LINE_MAX_SIZE];
    const char *text = line, *lf;
    ssize_t n;

    if (at >= ledger->end) {
        text = ledger->pending.data + (at - ledger->end);
        n = (ssize_t)(ledger->pending.len - (at - ledger->end));
    } else {
        n = durable_read(ledger->fd, line, 512, at, "state/" LEDGER_FILE, cause);
        if (n > 0 && memchr(line, '\n', (size_t)n) == NULL)
            n = durable_read(ledger->fd, line, sizeof line, at, "state/" LEDGER_FILE, cause);
        if (n < 0)
            return -1;
    }
    lf = memchr(text, '\n', (size_t)n);
    if (lf == NULL || !parse_line(text, (size_t)(lf - text), ret_line))
        return cause_set(cause, CAUSE_DAMAGED,
                         "state/" LEDGER_FILE " changed under our hands at byte %" PRIu64
                         ": only this program may write there",
                         at);
    ret_line->at = at;
    *ret_next = at + (uint64_t)(lf + 1 - text);
    return 1;
}

int ledger_at(const struct ledger *ledger, uint64_t at, struct ledger_line *ret_line,
              struct cause *cause)
{
    uint64_t next;

    return read_at(ledger, at, ret_line, &next, cause);
}

int ledger_content(const struct ledger *ledger, const unsigned char sha256[DIGEST_SIZE],
                   bool has_meta, uint64_t meta, const char *name, struct ledger_line *ret_line,
                   struct cause *cause)
{
    const struct map_slot *slot;
    size_t cursor = 0;

    while ((slot = map_find(&ledger->by_content, content_key(sha256, has_meta, meta), &cursor)) !=
           NULL) {
        if (ledger_at(ledger, slot->value, ret_line, cause) < 0)
            return -1;
        if (memcmp(ret_line->sha256, sha256, DIGEST_SIZE) == 0 && ret_line->has_meta == has_meta &&
            ret_line->meta == meta && (name == NULL || strcmp(ret_line->name, name) == 0))
            return 1;
    }
    return 0;
}

uint64_t ledger_last_at(const struct ledger *ledger, const char *name)
{
    const struct ledger_name *known = find_name(ledger, name);

    return known == NULL ? 0 : known->last_at;
}

uint64_t ledger_rows_of(const struct ledger *ledger, const char *name)
{
    const struct ledger_name *known = find_name(ledger, name);

    return known == NULL ? 0 : known->rows;
}

uint64_t ledger_rows_of_longest(const struct ledger *ledger, const char *name)
{
    const struct ledger_name *known = find_name(ledger, name);

    return known == NULL ? 0 : known->longest_rows;
}

/* Two names of one hash share an entry: a line that speaks of the other is as good as none. */
static int line_of(const struct ledger *ledger, uint64_t at, const char *name,
                   struct ledger_line *ret_line, struct cause *cause)
{
    if (at == 0)
        return 0;
    if (ledger_at(ledger, at, ret_line, cause) < 0)
        return -1;
    return strcmp(ret_line->name, name) == 0;
}

int ledger_last(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                struct cause *cause)
{
    return line_of(ledger, ledger_last_at(ledger, name), name, ret_line, cause);
}

int ledger_longest(const struct ledger *ledger, const char *name, struct ledger_line *ret_line,
                   struct cause *cause)
{
    const struct ledger_name *known = find_name(ledger, name);

    return known == NULL ? 0 : line_of(ledger, known->longest_at, name, ret_line, cause);
}

int ledger_by_seq(const struct ledger *ledger, uint64_t seq, struct ledger_line *ret_line,
                  struct cause *cause)
{
    uint64_t at = HEADER_SIZE;
    int result = 0;

    while (ledger->fd >= 0 && (result = ledger_next(ledger, &at, ret_line, cause)) > 0)
        if (ret_line->seq == seq)
            return 1;
    return result;
}

int ledger_next(const struct ledger *ledger, uint64_t *at, struct ledger_line *ret_line,
                struct cause *cause)
{
    if (*at < HEADER_SIZE)
        *at = HEADER_SIZE;
    if (*at >= ledger->end)
        return 0;
    return read_at(ledger, *at, ret_line, at, cause);
}

int ledger_add(struct ledger *ledger, struct ledger_line *line, struct cause *cause)
{
    bool start = line->verdict == VERDICT_STARTED || line->verdict == VERDICT_ADOPTED;

    line->seq = ledger->next_seq;
    line->batch = ledger->pending.len == 0 ? ledger->next_seq : ledger->batch;
    line->offset = start ? 0 : ledger->training_end;
    line->at = ledger->end + ledger->pending.len;
    format_line(&ledger->pending, line);
    if (buffer_failed(&ledger->pending))
        return cause_memory(cause);
    return absorb(ledger, line, cause);
}

int ledger_commit(struct ledger *ledger, struct cause *cause)
{
    if (ledger->pending.len == 0)
        return 0;
    if (durable_write(ledger->fd, ledger->pending.data, ledger->pending.len, ledger->end,
                      "state/" LEDGER_FILE, cause) < 0)
        return -1;
    if (durable_sync(ledger->fd, "state/" LEDGER_FILE, cause) < 0)
        return -1;
    ledger->end += ledger->pending.len;
    buffer_clear(&ledger->pending);
    return 0;
}

int ledger_abandon(struct ledger *ledger, struct cause *cause)
{
    struct stat st;
    uint64_t end = ledger->end;

    if (ledger->fd < 0 || fstat(ledger->fd, &st) < 0)
        return 0;
    if ((uint64_t)st.st_size > end &&
        durable_truncate(ledger->fd, end, "state/" LEDGER_FILE, cause) < 0)
        return -1;
    if (ledger->pending.len == 0)
        return 0;
    forget_all(ledger);
    return ledger_refresh(ledger, true, cause);
}
