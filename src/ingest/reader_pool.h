/*
 * readers: several looks read at the same time, by the threads of a pool.
 *
 *     reader_pool_begin(readers, files, ...)    a batch of them: they are opened ahead
 *     look = reader_pool_look(readers)          for the next one; NULL: finish another one first
 *     upload_claim, and reader_pool_read          it is being read; or reader_pool_release
 *     look = reader_pool_next(readers, ...)     the one that was given first, once it is read
 *     ... decided, booked ...
 *     reader_pool_release(look)
 *     reader_pool_drop                          the end of the batch
 *
 * They come back in the order in which they were given. Memory is bounded: only so many bytes of
 * files are being read at once. A larger file is read apart, one at a time, over as many batches as
 * it takes, and holds up no other: reader_pool_read_background, and reader_pool_background_take
 * once reader_pool_fd is readable. All of this is called from one thread; others open files ahead,
 * run upload_read, and do what that shares with them.
 */
#ifndef PHASESENTINEL_READER_POOL_H
#define PHASESENTINEL_READER_POOL_H

#include <stdbool.h>

#include "base/cause.h"
#include "schema/config.h"
#include "ingest/upload.h"
#include "base/thread_pool.h"
#include "schema/schema.h"

struct reader_pool;

/* desk is borrowed. NULL with a cause. */
struct reader_pool *reader_pool_open(struct ingest_env *env, const struct schema *schema,
                                     struct cause *cause);
void reader_pool_close(struct reader_pool *reader_pool); /* takes NULL */

/* All files are borrowed until reader_pool_drop. */
void reader_pool_begin(struct reader_pool *reader_pool, struct pending_file *const *files,
                       size_t count);
struct upload *reader_pool_look(struct reader_pool *reader_pool);

/* Is there room for this look beside those that are being read? */
bool reader_pool_have_room(const struct reader_pool *reader_pool, const struct upload *upload);

/* `alone`: no other follows, so this thread reads it at once. */
void reader_pool_read(struct reader_pool *reader_pool, struct upload *upload, bool alone);

/* Is it so large that it is to be read apart? And is one being read so? NULL: none is. */
bool reader_pool_is_large(const struct upload *upload);
struct upload *reader_pool_background(const struct reader_pool *reader_pool);
int reader_pool_read_background(struct reader_pool *reader_pool, struct upload *upload,
                                struct cause *cause);

/* Readable once it is read; and is it, not yet taken? */
int reader_pool_fd(const struct reader_pool *reader_pool);
bool reader_pool_background_ready(const struct reader_pool *reader_pool);

/* It, as reader_pool_next; NULL: none is ready. */
struct upload *reader_pool_background_take(struct reader_pool *reader_pool, int *ret_read,
                                           struct cause *cause);

/* NULL: none is being read. *ret_read is upload_read's answer, *cause its cause. */
struct upload *reader_pool_next(struct reader_pool *reader_pool, int *ret_read,
                                struct cause *cause);

void reader_pool_release(struct reader_pool *reader_pool, struct upload *upload);

/* At the end of a batch: what is still being read is forgotten, and memory given back. */
void reader_pool_drop(struct reader_pool *reader_pool);

/* For readings that stand apart: the judge of the calling thread. */
struct file_check *reader_pool_judge(struct reader_pool *reader_pool);

#endif
