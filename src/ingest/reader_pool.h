/*
 * reader_pool: several uploads are opened and read at the same time, by the threads of a pool.
 *
 *     reader_pool_begin        the files of a batch; threads open them in advance
 *     reader_pool_open_next    the next of them, opened; NULL: finish another one first
 *     reader_pool_read         read it ...
 *     reader_pool_next         ... and get the upload back that was given first, once it is read
 *     reader_pool_release      after each reader_pool_open_next
 *     reader_pool_end          the end of the batch
 *
 * Uploads come back in the order in which they were given. Memory is bounded: only so many bytes of
 * files are read at once. A larger file is read in the background, one at a time, over as many
 * batches as that takes:
 *
 *     reader_pool_read_background, then reader_pool_take_background once reader_pool_fd is readable
 *
 * All functions are for one thread.
 */
#ifndef PHASESENTINEL_READER_POOL_H
#define PHASESENTINEL_READER_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cause.h"
#include "ingest/upload.h"

struct reader_pool;

/* Borrow env. Return NULL with a cause on failure. */
struct reader_pool *reader_pool_new(struct ingest_env *env, struct cause *cause);
void reader_pool_free(struct reader_pool *pool); /* takes NULL */

/* Borrow the files until reader_pool_end. */
void reader_pool_begin(struct reader_pool *pool, struct pending_file *const *files, size_t count);
struct upload *reader_pool_open_next(struct reader_pool *pool);

/* Return true if the upload may be read beside those that are being read. */
bool reader_pool_has_room(const struct reader_pool *pool, const struct upload *upload);

/* `alone`: no other file follows, so that the calling thread reads it at once. */
void reader_pool_read(struct reader_pool *pool, struct upload *upload, bool alone);

/* Return the upload, with the result of upload_read and its cause; NULL: none is being read. */
struct upload *reader_pool_next(struct reader_pool *pool, enum upload_result *ret_result,
                                struct cause *cause);
void reader_pool_release(struct reader_pool *pool, struct upload *upload);

/* Drop what is still being read, and give memory back. */
void reader_pool_end(struct reader_pool *pool);

/* Return true if the file is so large that it must be read in the background. */
bool reader_pool_is_large(const struct upload *upload);
int reader_pool_read_background(struct reader_pool *pool, struct upload *upload,
                                struct cause *cause);

/* Return the upload that is in the background, read or not; NULL: none is. */
struct upload *reader_pool_background(const struct reader_pool *pool);
bool reader_pool_background_is_ready(const struct reader_pool *pool);
struct upload *reader_pool_take_background(struct reader_pool *pool, enum upload_result *ret_result,
                                           struct cause *cause);

/* Return a descriptor that is readable once the file in the background is read. */
int reader_pool_fd(const struct reader_pool *pool);

/* Return the file_check of the calling thread. */
struct file_check *reader_pool_file_check(struct reader_pool *pool);

#endif
