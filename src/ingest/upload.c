#include "ingest/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ingest/placement.h"
#include "base/log.h"

#define PACKED_WEIGHT 16 /* more than CSV shrinks by as a rule */

/* It is as it was judged, and was not read too soon after its last change to be sure of that. */
static bool is_known(const struct look *look)
{
    const struct drop *drop = look->desk->drop;
    const char *name = look->file->name;

    return seen_holds(&drop->seen, name, &look->signature,
                      ledger_last_at(&look->desk->merge->ledger, name)) &&
           !seen_is_young(&drop->seen, name);
}

static void note_writer(struct look *look)
{
    enum spool_writer writer = look->taken.writer;
    bool quiet = look->now - look->file->since >= waiting_seconds(look->desk->config->settle);

    if (writer == SPOOL_WRITER_UNKNOWN && !look->desk->lease_unknown) {
        look->desk->lease_unknown = true;
        log_notice("the kernel does not tell who writes to %s (it takes the file's owner or "
                   "CAP_LEASE): closing, moving "
                   "and %u seconds of quiet decide",
                   look->file->name, look->desk->config->settle);
    }
    look->writer =
        writer == SPOOL_WRITER || (writer == SPOOL_WRITER_UNKNOWN && !look->file->closed && !quiet);
    look->patient = quiet && !look->writer;
    /* A checksum is that of all of it. */
    look->complete_only = look->writer && !look->sidecars.each[SPOOL_SHA256].there;
}

/* Where it cannot be looked into, what lies in it may never be found. */
static bool directory_waits(struct look *look)
{
    const struct desk *desk = look->desk;
    enum spool_kind kind;
    int fd = -1;

    if (!desk->config->recursive)
        return false;
    kind = spool_enter(desk->dir->drop, look->file->name, &fd);
    if (kind == SPOOL_UNREADABLE)
        drop_wait(desk->drop, look->file, WAIT_UNREADABLE,
                  "no permission to look into this directory: chmod a+rx", WAITING_NEVER);
    else if (kind == SPOOL_OTHER)
        drop_wait(desk->drop, look->file, WAIT_FILE_TYPE,
                  "a directory too deep or with too long a path to be looked into", WAITING_NEVER);
    else if (kind == SPOOL_TROUBLE)
        drop_wait(desk->drop, look->file, WAIT_TROUBLE, strerror(errno), WAITING_NEVER);
    if (fd >= 0)
        close(fd);
    return kind != SPOOL_DIRECTORY && kind != SPOOL_GONE;
}

/* A second name of what is no file of the sender's. A sender's link is gone again soon, if it is a
 * step of a rename. */
static bool link_waits(struct look *look)
{
    const struct desk *desk = look->desk;

    if (look->signature.device == desk->merge->training.device &&
        look->signature.inode == desk->merge->training.inode)
        drop_wait(desk->drop, look->file, WAIT_FILE_TYPE,
                  "a hard link to training_data.csv: remove it", WAITING_NEVER);
    else if (look->taken.whose.linked && look->taken.whose.closed && !look->recall.is_ours)
        drop_wait(
            desk->drop, look->file, WAIT_FILE_TYPE,
            "a hard link to a file that not everybody may read: send a copy, remove its other "
            "name, or chmod a+r",
            look->now < look->file->since + 5 * WAITING_SECOND ? look->now + WAITING_SECOND
                                                               : WAITING_NEVER);
    else
        return false;
    return true;
}

/* Has its sender put beside it what it takes to judge it? Else it waits. */
static bool is_confirmed(struct look *look, enum spool_kind kind)
{
    static const enum spool_sidecar wanted[] = {
        [CONFIG_CONFIRM_CHECKSUM] = SPOOL_SHA256, [CONFIG_CONFIRM_DONE] = SPOOL_DONE};
    const enum config_confirm confirm = look->desk->config->confirm;
    enum spool_sidecar last = look->sidecars.each[SPOOL_DONE].there ? SPOOL_DONE : SPOOL_SHA256;
    const char *base = spool_base(look->file->name), *why = NULL;
    struct buffer detail = {0};
    enum reason reason = WAIT_FILE_TYPE;

    if (kind == SPOOL_UNREADABLE) {
        reason = WAIT_UNREADABLE;
        why = "may not be read: chmod a+r";
    } else if (kind == SPOOL_TROUBLE) {
        reason = WAIT_TROUBLE;
        why = strerror(errno);
    } else if (kind != SPOOL_FILE) {
        why = "is no regular file";
    } else if (look->sidecars.linked) {
        reason = WAIT_UNCONFIRMED;
        why = "has another name: it counts once that is gone";
    } else if (look->sidecars.foreign && confirm != CONFIG_CONFIRM_NONE &&
               !look->sidecars.each[wanted[confirm]].there) {
        last = wanted[confirm];
        reason = WAIT_UNCONFIRMED;
        why = "belongs to another user than the file, or has another name: it does not count";
    } else if (confirm != CONFIG_CONFIRM_NONE && !look->sidecars.each[wanted[confirm]].there) {
        last = wanted[confirm];
        reason = WAIT_UNCONFIRMED;
        why = confirm == CONFIG_CONFIRM_DONE
                  ? "has not come: the file is judged once its sender says so"
                  : "has not come: the file is judged once its checksum is there";
    }
    if (why == NULL)
        return true;
    buffer_printf(&detail, "%s%s %s", base, spool_sidecar_suffix(last), why);
    drop_wait(look->desk->drop, look->file, reason, buffer_text(&detail),
              look->sidecars.linked ? look->now + WAITING_SECOND : WAITING_NEVER);
    buffer_free(&detail);
    return false;
}

/* Its checksum came after it, and it has left: is it that of what was accepted? Where sidecars are
 * waited for none can be late. */
static int follow(struct look *look, struct cause *cause)
{
    const struct desk *desk = look->desk;
    const enum disposal disposal = disposal_of_accepted(desk->config);
    const char *name = look->file->name;
    int found;

    if (!desk->drop->sidecars || disposal == DISPOSAL_KEEP ||
        desk->config->confirm != CONFIG_CONFIRM_NONE ||
        sidecar_look(desk->dir->drop, name, SIDECAR_ANYONE, &look->sidecars) != SPOOL_FILE ||
        !look->sidecars.has_sum)
        return 0;
    found = ledger_last(&desk->merge->ledger, name, &look->recall.last, cause);
    if (found <= 0 || look->recall.last.verdict == VERDICT_QUARANTINED ||
        memcmp(look->recall.last.sha256, look->sidecars.sha256, DIGEST_SIZE) != 0)
        return found < 0 ? -1 : 0;
    return disposal_follow(desk->dir, name, &look->sidecars, look->recall.last.seq, disposal,
                           cause);
}

/* May the file be judged now? Else it waits, is done, or is gone. */
static bool claim(struct look *look)
{
    enum spool_kind beside = SPOOL_FILE;
    int64_t quiet_at, latest;

    switch (look->taken.kind) {
    case SPOOL_DIRECTORY:
        if (directory_waits(look))
            return false;
        /* fall through */
    case SPOOL_GONE:
        drop_count_out(look->desk->drop, look->file->name);
        look->desk->drop->changed = true; /* one less waits */
        look->file->done = true;
        return false;
    case SPOOL_OTHER:
        drop_wait(
            look->desk->drop, look->file, WAIT_FILE_TYPE,
            "no regular file: links, FIFOs and devices are never opened; send the file itself",
            WAITING_NEVER);
        return false;
    case SPOOL_UNREADABLE:
        drop_wait(look->desk->drop, look->file, WAIT_UNREADABLE,
                  "no permission to read it: chmod a+r, or send with rsync --chmod=F644",
                  WAITING_NEVER);
        return false;
    case SPOOL_TROUBLE:
        drop_wait(look->desk->drop, look->file, WAIT_TROUBLE, strerror(look->taken.errnum),
                  WAITING_NEVER);
        return false;
    case SPOOL_FILE:
        break;
    }
    look->signature = look->taken.signature;
    drop_count_in(look->desk->drop, look->file);
    look->sidecars = (struct sidecars){0};
    if (look->desk->drop->sidecars || look->desk->config->confirm != CONFIG_CONFIRM_NONE)
        beside = sidecar_look(look->desk->dir->drop, look->file->name, look->taken.whose.owner,
                              &look->sidecars);
    if (look->sidecars.foreign)
        log_debug("%s: what somebody else put beside it does not count", look->name);
    waiting_look(look->file, &look->signature, sidecar_hash(&look->sidecars), look->now);
    note_writer(look);
    look->known = is_known(look);
    quiet_at = look->file->since + waiting_seconds(look->desk->config->settle);
    latest = look->file->judged + waiting_seconds(look->desk->config->rescan);
    if (look->writer && look->now < quiet_at && look->now < latest)
        drop_wait(look->desk->drop, look->file, WAIT_WRITER, "a program has it open for writing",
                  quiet_at < latest ? quiet_at : latest);
    else if (look->signature.size == 0)
        drop_wait(look->desk->drop, look->file, WAIT_EMPTY, "no bytes yet", WAITING_NEVER);
    else if (look->signature.mtime == 0)
        drop_wait(look->desk->drop, look->file, WAIT_PARTIAL,
                  "an interrupted rsync --partial left it (modification time 0): run rsync again",
                  WAITING_NEVER);
    else
        return is_confirmed(look, beside);
    return false;
}

static int sink_accept(void *context, struct buffer *rows, struct cause *cause)
{
    struct look *look = context;
    int result = spill_add(&look->accepted, rows, cause);

    look->sink_failed |= result < 0;
    return result;
}

static int sink_piece(void *context, struct cause *cause)
{
    struct look *look = context;
    int result = pieces_add(&look->pieces, &look->judgement, &look->accepted, cause);

    look->sink_failed |= result < 0;
    return result;
}

/* Bad rows as they came, behind the file's own header. */
static int sink_reject(void *context, const char *raw, size_t len, struct cause *cause)
{
    struct look *look = context;
    const struct buffer *header = &look->judgement.header;
    struct buffer bytes = {0};
    int result;

    if (look->rejected.length == 0)
        buffer_append(&bytes, header->data, header->len);
    buffer_append(&bytes, raw, len);
    if (raw[len - 1] != '\n')
        buffer_byte(&bytes, '\n');
    result =
        buffer_failed(&bytes) ? cause_memory(cause) : spill_add(&look->rejected, &bytes, cause);
    buffer_free(&bytes);
    look->sink_failed |= result < 0;
    return result;
}

/* Reads and checks it up to the size of the first look. */
static int read_file(struct look *look, struct judge *judge, struct cause *cause)
{
    struct judge_order order = {.fd = look->fd,
                                .name = look->name,
                                .layout = &look->layout,
                                .size = look->signature.size,
                                .complete_only = look->complete_only,
                                .sink = {sink_accept, sink_reject, sink_piece, look},
                                .pool = look->desk->pool,
                                .stop = &look->desk->stop};

    if (look->recall.base != NULL) {
        order.prefix_bytes = look->recall.base->bytes;
        memcpy(order.prefix_sha, look->recall.base->sha256, DIGEST_SIZE);
    }
    spill_clear(&look->accepted);
    spill_clear(&look->rejected);
    pieces_clear(&look->pieces);
    look->accepted.pool = look->parted ? look->desk->pool : NULL;
    if (judge_run(judge, &order, &look->judgement, cause) < 0)
        return -1;
    if (look->judgement.broken)
        pieces_clear(&look->pieces);
    return sink_piece(look, cause);
}

/* Is it still this file that has the name? As it is now. */
static bool is_in_place(const struct look *look, struct signature *ret_now)
{
    return spool_look(look->desk->dir->drop, look->name, ret_now) == SPOOL_FILE &&
           ret_now->device == look->signature.device && ret_now->inode == look->signature.inode;
}

/* Reads it; and again, up to its last complete row, if it grew meanwhile. 1: judged, 0: it changed,
 * no verdict. */
static int read_steadily(struct look *look, struct judge *judge, struct cause *cause)
{
    struct signature after;
    unsigned tries;

    for (tries = 0; tries < 2; tries++) {
        if (read_file(look, judge, cause) < 0)
            return cause->kind == CAUSE_AGAIN ? 0 : -1;
        /* The lock is not held, nor the drop directory open: look_rejoin asks for the name. */
        if (look->parted ? spool_signature(look->fd, &after) != SPOOL_FILE
                         : !is_in_place(look, &after))
            return 0;
        if (signature_equal(&after, &look->signature) ||
            (look->complete_only && after.size > look->signature.size))
            return 1;
        if (after.size <= look->signature.size)
            return 0;
        if (look->sidecars.each[SPOOL_SHA256].there)
            return 0;
        /* It only grew: somebody appends. */
        look->complete_only = true;
        look->patient = false;
    }
    return 1;
}

void look_put_off(struct look *look, const struct cause *cause)
{
    int64_t now = waiting_now(), spent = now - look->now;

    pieces_clear(&look->pieces);
    log_debug("%s: no verdict: %s", look->name, cause->text);
    if (cause->kind == CAUSE_TROUBLE)
        drop_wait(look->desk->drop, look->file, WAIT_TROUBLE, cause->text,
                  now + waiting_seconds(look->desk->config->rescan));
    else /* the larger the file, the later */
        drop_wait(look->desk->drop, look->file, WAIT_WRITER, "it changed while it was read",
                  now + WAITING_SOON + 4 * spent);
}

/*
 * A grown file whose last row is incomplete: its complete rows alone. Of which nothing is booked
 * yet, too, if it was seen to grow: whose buffer ends in the middle of a row may do so for ever.
 */
static bool wants_complete_rows(const struct look *look)
{
    const struct judgement *result = &look->judgement;

    return (result->prefix_found || (look->growing && result->rows > 0)) && !look->complete_only &&
           !look->sidecars.each[SPOOL_SHA256].there &&
           (judgement_only_truncated(result) || (result->no_newline && !look->patient));
}

uint64_t look_weight(const struct look *look)
{
    return unpack_format_of(look->name) == UNPACK_PLAIN ? look->signature.size
                                                        : look->signature.size * PACKED_WEIGHT;
}

static void close_file(struct look *look)
{
    if (look->fd >= 0)
        close(look->fd);
    look->fd = -1;
}

void look_init(struct look *look, struct desk *desk)
{
    look->desk = desk;
    look->fd = -1;
    judgement_init(&look->judgement, desk->config);
    spill_init(&look->accepted, desk->dir->state);
    spill_init(&look->rejected, desk->dir->state);
}

void look_free(struct look *look)
{
    if (look->desk == NULL)
        return;
    judgement_free(&look->judgement);
    spill_free(&look->accepted);
    spill_free(&look->rejected);
    pieces_free(&look->pieces);
    look->desk = NULL;
}

int look_claim(struct look *look, struct waiting_file *file, struct cause *cause)
{
    look->file = file;
    snprintf(look->name, sizeof look->name, "%s", file->name);
    look->fd = look->taken.fd;
    look->now = waiting_now();
    look->layout = look->desk->merge->training.layout;
    look->complete_only = look->known = look->sink_failed = look->parted = look->again = false;
    look->recall.base = NULL;
    if (look->taken.kind == SPOOL_GONE && follow(look, cause) < 0)
        return -1;
    if (!claim(look))
        return 0;
    look->growing = file->cut > 0 && look->signature.size > file->cut;
    if (recall_file(&look->recall, &look->desk->merge->ledger, &look->desk->drop->seen, look->name,
                    &look->signature, cause) < 0)
        return -1;
    look->growing &= look->recall.base_count == 0;
    if (link_waits(look))
        return 0;
    /* A checksum that came after its file was merged may contradict it. */
    if (look->sidecars.each[SPOOL_SHA256].there &&
        !(look->recall.has_last && look->sidecars.has_sum &&
          memcmp(look->sidecars.sha256, look->recall.last.sha256, DIGEST_SIZE) == 0))
        look->known = false;
    return 1;
}

int look_part(struct look *look, struct cause *cause)
{
    int *fields = malloc((look->layout.count + 1) * sizeof *fields);

    if (fields == NULL)
        return cause_memory(cause);
    memcpy(fields, look->layout.fields, look->layout.count * sizeof *fields);
    look->layout.fields = fields;
    look->parted = true;
    return 0;
}

/* Would its rows be written today as they were? */
static bool fits_training(const struct look *look)
{
    const struct layout *layout = &look->desk->merge->training.layout;

    return layout->count == look->layout.count &&
           memcmp(layout->fields, look->layout.fields, layout->count * sizeof(int)) == 0;
}

int look_rejoin(struct look *look, struct waiting_file *file, struct cause *cause)
{
    struct signature now;
    int same;

    look->file = file;
    same = recall_again(&look->recall, &look->desk->merge->ledger, &look->desk->drop->seen,
                        look->name, &look->signature, cause);
    if (same <= 0)
        return same;
    return is_in_place(look, &now) && fits_training(look);
}

bool look_is_paused(const struct look *look)
{
    return look->pieces.next > 0 && look->pieces.next < look->pieces.count;
}

int look_resume(struct look *look, struct waiting_file *file, struct cause *cause)
{
    const struct ledger *ledger = &look->desk->merge->ledger;
    const struct piece *before = &look->pieces.list[look->pieces.next - 1];
    const struct judgement *result = &look->judgement;
    struct recall *recall = &look->recall;
    int found = ledger_last(ledger, look->name, &recall->last, cause);

    look->file = file;
    if (found <= 0)
        return found;
    recall->has_last = true;
    return recall_last_is(recall, before->sha256, result->has_meta, result->meta) &&
           (recall->last.verdict == VERDICT_MERGED || recall->last.verdict == VERDICT_GROWN) &&
           !recall_is_overtaken(recall, ledger, look->name) && fits_training(look);
}

/* Does it begin with its base, or with what seems to be that? */
static bool goes_on(const struct look *look)
{
    return look->judgement.prefix_found || look->judgement.continued_line > 0;
}

static bool is_of_another(const struct look *look)
{
    return goes_on(look) && recall_is_of_another(&look->recall, look->fd, look->judgement.has_meta,
                                                 look->judgement.meta);
}

int look_read(struct look *look, struct judge *judge, struct cause *cause)
{
    const struct judgement *result = &look->judgement;
    int steady;
    size_t i;

    *cause = (struct cause){.kind = CAUSE_AGAIN};
    steady = read_steadily(look, judge, cause);
    /* It does not begin with the longest content; with another? */
    for (i = 1; steady > 0 && i < look->recall.base_count && !result->broken &&
                (is_of_another(look) || !goes_on(look));
         i++) {
        look->recall.base = look->recall.bases[i];
        steady = read_steadily(look, judge, cause);
    }
    if (steady > 0 && is_of_another(look)) {
        look->recall.base =
            look->recall.bases[0] != &look->recall.inode ? look->recall.bases[0] : NULL;
        steady = read_steadily(look, judge, cause);
    }
    if (steady > 0 && wants_complete_rows(look)) {
        look->complete_only = true;
        steady = read_steadily(look, judge, cause);
    }
    /* Nothing is decided of a new file that takes another look at its bytes. */
    if (look->recall.base_count == 0)
        close_file(look);
    if (steady < 0 && cause->kind == CAUSE_TROUBLE && !look->sink_failed && cause->errnum != ENOMEM)
        return 0;
    return steady;
}

void look_close(struct look *look)
{
    close_file(look);
    if (look->parted)
        free(look->layout.fields);
    look->parted = false;
    spill_clear(&look->accepted);
    spill_clear(&look->rejected);
    pieces_clear(&look->pieces);
}
