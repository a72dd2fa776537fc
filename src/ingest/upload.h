/*
 * upload: one dropped file on its way from the drop directory into the training file.
 *
 *     upload_init          once; the struct serves file after file
 *     upload_begin         a file is opened; gate.h decides whether it is read
 *     upload_read          read and check it: fills check_result, accepted and rejected
 *     upload_detach        ... of a large file without the lock, over several batches ...
 *     upload_reattach      ... whose result counts if nothing happened to the file meanwhile
 *     upload_postpone      there is no verdict: the file waits
 *     upload_end           close the file, drop its rows
 *     upload_free
 *
 * upload_read touches nothing but its upload and its file_check, and reads the configuration, so
 * that several threads may read different uploads. All else is for the thread that holds the lock.
 */
#ifndef PHASESENTINEL_UPLOAD_H
#define PHASESENTINEL_UPLOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/hash_index.h"
#include "base/sorted_set.h"
#include "base/thread_pool.h"
#include "csv/file_check.h"
#include "drop/dropdir.h"
#include "drop/pending.h"
#include "drop/sidecar.h"
#include "fs/beneath.h"
#include "ingest/history.h"
#include "schema/config.h"
#include "schema/schema.h"
#include "store/datadir.h"
#include "store/spill.h"
#include "store/transaction.h"

/*
 * The content that a batch recorded so far is not in the snapshot with which its files are read. A
 * file may begin with such content only if its head (check_result.h) is the same.
 */
struct batch_heads {
    struct hash_index least_bytes; /* by head: length of the shortest content */
    bool any;                      /* content without a head was recorded */
};

/* The surroundings of all uploads. All pointers are borrowed. */
struct ingest_env {
    const struct config *config;
    const struct schema *schema;
    const struct datadir *dir;
    struct transaction *transaction;
    struct dropdir *dropdir;
    struct thread_pool *pool;     /* helps to read a large file; NULL: none yet */
    atomic_bool stop;             /* readings are to end */
    bool logged_unknown_writer;   /* logged that the kernel does not tell who writes */
    struct sorted_snapshot known; /* the known content when the batch began; owned */
    struct batch_heads heads;     /* heads of the content that this batch recorded */
};

/* Sources of the merged content that a file begins with. */
enum prefix_source {
    PREFIX_NONE,  /* the file begins with no merged content */
    PREFIX_OWN,   /* the longest content of its name */
    PREFIX_INODE, /* the content that its inode had under another name */
    PREFIX_KNOWN, /* known content of any name (content_hash.h): not certain yet */
};

enum upload_result {
    UPLOAD_CHECKED, /* check_result is valid */
    UPLOAD_CHANGED, /* no verdict: the file changed, or could not be read; the cause says why */
    UPLOAD_FAILED,  /* our own trouble */
};

struct upload {
    struct ingest_env *env;
    struct pending_file *file; /* borrowed until files arrive or are swept (pending.h) */
    const char *name;          /* in name_copy, which is owned */
    struct buffer name_copy;
    struct opened_file opened; /* fd is owned; -1 once it is not needed any more */
    struct file_id file_id;    /* when it was opened: the size says how much is read */
    struct sidecars sidecars;
    enum file_kind sidecar_state; /* FILE_REGULAR: they were read */
    int sidecar_errnum;           /* the error of FILE_TROUBLE */
    int64_t now;                  /* clock_monotonic() when it was opened */
    struct training_columns
        training_columns;       /* columns of the training file; borrowed unless detached */
    bool detached;              /* read without the lock: training_columns is a copy, owned */
    bool changed_while_reading; /* an event named the file during its reading: read it again */
    bool has_writer;            /* a program has it open for writing, or may have */
    bool may_reject;    /* no writer and unchanged for `settle`: a bad file may be rejected */
    bool complete_only; /* check complete rows only: the rest may still be written */
    bool resumed;       /* ended in a row at the last check, and is longer now */
    bool unchanged;     /* the same as when it was checked before: do not read it */
    bool sink_failed;   /* our own disk failed, not the file's */
    struct history history;
    struct sorted_snapshot known; /* the known content that it may begin with; owned */
    uint64_t shorter_than;        /* known content this long was refused by classify; 0: none */
    enum prefix_source prefix_source;
    struct content_prefix prefix; /* the merged content that it begins with */
    uint64_t prefix_rows;         /* good and bad rows of that content */
    struct check_result check_result;
    struct spill accepted; /* rows as they go to the training file */
    struct spill rejected; /* bad rows as they came, behind the file's header */
};

void upload_init(struct upload *upload, struct ingest_env *env);
void upload_free(struct upload *upload); /* takes a zeroed struct */

/* Begin with a file. `upload->opened` was filled before. */
int upload_begin(struct upload *upload, struct pending_file *file, struct cause *cause);

/* Begin or end a batch: the known content of all files that are begun in it. */
int upload_begin_batch(struct ingest_env *env, struct cause *cause);
void upload_end_batch(struct ingest_env *env);

/* Note that this content was recorded in the batch. */
int upload_note_recorded(struct upload *upload, struct cause *cause);

/* Return true if content that was recorded in this batch may be the beginning of the file: call
 * upload_prepare_reread, and read it again. */
bool upload_may_follow_recorded(const struct upload *upload);
enum upload_result upload_prepare_reread(struct upload *upload, struct cause *cause);

/* Return an estimate of the bytes to be read, after decompression. */
uint64_t upload_weight(const struct upload *upload);

enum upload_result upload_read(struct upload *upload, struct file_check *file_check,
                               struct cause *cause);

int upload_detach(struct upload *upload, struct cause *cause);

/* UPLOAD_CHANGED: the file, its history or the training file's columns changed, or content was
 * merged meanwhile that it may begin with. */
enum upload_result upload_reattach(struct upload *upload, struct pending_file *file,
                                   struct cause *cause);

/* Make the file wait for the cause that came with UPLOAD_CHANGED. */
void upload_postpone(struct upload *upload, const struct cause *cause);

void upload_end(struct upload *upload);

/* Return what the name told of the rows, as the check found it. */
struct content_meta upload_meta(const struct upload *upload);

#endif
