/*
 * sidecar: the files that a sender puts beside a CSV file: NAME.sha256 and NAME.done.
 *
 * NAME.sha256 holds the checksum of NAME, as sha256sum writes it. NAME.done, with any content, says
 * that NAME is complete. A checksum that differs from that of the file is a violation,
 * checksum-mismatch.
 *
 * Sidecars are trusted as little as the file: links and FIFOs are never opened, and no more than
 * SIDECAR_BYTES are read. A sidecar counts only if its owner is the file's owner, root or the
 * effective user, and if it has no other hard link.
 */
#ifndef PHASESENTINEL_SIDECAR_H
#define PHASESENTINEL_SIDECAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "csv/violations.h"
#include "fs/file_id.h"

#define SIDECAR_BYTES (64 * 1024)

enum sidecar_kind { SIDECAR_SHA256, SIDECAR_DONE, SIDECAR_KINDS };

/* Return ".sha256" or ".done". */
const char *sidecar_suffix(enum sidecar_kind kind);

/* Return the length of the file name in the name of its sidecar ("one.csv" in "one.csv.done"), or 0
 * if `name` is not that of a sidecar of an accepted file. */
size_t sidecar_target_length(const char *name);

/* The sidecars of a file, as sidecar_read found them. */
struct sidecars {
    struct sidecar {
        bool there; /* present, and counts */
        struct file_id file_id;
    } each[SIDECAR_KINDS];
    bool foreign; /* a sidecar is present that does not count */
    bool linked;  /* a sidecar has another hard link, maybe for the moment of a rename */
    bool has_sum; /* sha256 was read from NAME.sha256 */
    unsigned char sha256[DIGEST_SIZE];
};

/*
 * Find the sidecars of a file with this owner, and read the checksum. Return FILE_REGULAR if all
 * that are present could be read. Else stop at the first that could not, which is `there`, and
 * return FILE_OTHER, FILE_DIRECTORY, FILE_UNREADABLE, or FILE_TROUBLE with errno.
 */
enum file_kind sidecar_read(int dir_fd, const char *name, uid_t owner,
                            struct sidecars *ret_sidecars);

/* Return a hash of the file_ids of the sidecars, or 0 if there are none. */
uint64_t sidecar_hash(const struct sidecars *sidecars);

/* Return true unless NAME.sha256 is there and does not hold this checksum, which is added to the
 * violations then. */
bool sidecar_agrees(const struct sidecars *sidecars, const char *name,
                    const unsigned char sha256[DIGEST_SIZE], struct violations *violations);

/* Find the checksum of the file `base` in the content of its NAME.sha256. Return false if there is
 * none. */
bool sidecar_parse(const char *text, size_t len, const char *base,
                   unsigned char ret_sha256[DIGEST_SIZE]);

#endif
