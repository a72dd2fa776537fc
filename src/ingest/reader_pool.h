/*
 * readers: several looks read at the same time, by the threads of a pool.
 *
 *     readers_begin(readers, files, ...)    a batch of them: they are opened ahead
 *     look = readers_look(readers)          for the next one; NULL: finish another one first
 *     look_claim, and readers_read          it is being read; or readers_release
 *     look = readers_next(readers, ...)     the one that was given first, once it is read
 *     ... decided, booked ...
 *     readers_release(look)
 *     readers_drop                          the end of the batch
 *
 * They come back in the order in which they were given. Memory is bounded: only so many bytes of
 * files are being read at once. A larger file is read apart, one at a time, over as many batches as
 * it takes, and holds up no other: readers_read_apart, and readers_apart once readers_fd is
 * readable. All of this is called from one thread; others open files ahead, run look_read, and do
 * what that shares with them.
 */
#ifndef PHASESENTINEL_READER_POOL_H
#define PHASESENTINEL_READER_POOL_H

#include <stdbool.h>

#include "base/cause.h"
#include "schema/config.h"
#include "ingest/upload.h"
#include "base/thread_pool.h"
#include "schema/schema.h"

struct readers;

/* desk is borrowed. NULL with a cause. */
struct readers *readers_open(struct desk *desk, const struct schema *schema, struct cause *cause);
void readers_close(struct readers *readers); /* takes NULL */

/* All files are borrowed until readers_drop. */
void readers_begin(struct readers *readers, struct waiting_file *const *files, size_t count);
struct look *readers_look(struct readers *readers);

/* Is there room for this look beside those that are being read? */
bool readers_have_room(const struct readers *readers, const struct look *look);

/* `alone`: no other follows, so this thread reads it at once. */
void readers_read(struct readers *readers, struct look *look, bool alone);

/* Is it so large that it is to be read apart? And is one being read so? NULL: none is. */
bool readers_is_large(const struct look *look);
struct look *readers_reading_apart(const struct readers *readers);
int readers_read_apart(struct readers *readers, struct look *look, struct cause *cause);

/* Readable once it is read; and is it, not yet taken? */
int readers_fd(const struct readers *readers);
bool readers_apart_ready(const struct readers *readers);

/* It, as readers_next; NULL: none is ready. */
struct look *readers_apart(struct readers *readers, int *ret_read, struct cause *cause);

/* NULL: none is being read. *ret_read is look_read's answer, *cause its cause. */
struct look *readers_next(struct readers *readers, int *ret_read, struct cause *cause);

void readers_release(struct readers *readers, struct look *look);

/* The one of readers_apart is not done: that gives it once more. */
void readers_put_back(struct readers *readers, struct look *look);

/* At the end of a batch: what is still being read is forgotten, and memory given back. */
void readers_drop(struct readers *readers);

/* For readings that stand apart: the judge of the calling thread. */
struct judge *readers_judge(struct readers *readers);

#endif
