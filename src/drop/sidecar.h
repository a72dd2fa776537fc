/*
 * sidecar: what a sender puts beside a file to say something of it.
 *
 * NAME.sha256 holds its checksum, as sha256sum writes it; NAME.done, whatever it holds, says that
 * it is whole. They are as little to be trusted as the file: links and FIFOs are never opened, and
 * no more than SIDECAR_BYTES are read. A sidecar says only that its file may be judged, and by
 * which hash; where it contradicts the file that is a violation, checksum-mismatch. Only the file's
 * owner may say that, root, or we: what somebody else puts beside it, or links there, counts for
 * nothing.
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

struct sidecars {
    struct sidecar {
        bool there;
        struct file_id file_id;
    } each[SIDECAR_KINDS];
    bool foreign; /* one that does not count is there */
    bool linked;  /* it is just now being renamed, or so: look again in a moment */
    bool has_sum; /* the checksum could be read from NAME.sha256 */
    unsigned char sha256[DIGEST_SIZE];
};

/*
 * Looks for the sidecars of the name, a file of this owner. FILE_REGULAR: those that are there were
 * read. Else what hinders that: FILE_OTHER, FILE_DIRECTORY, FILE_UNREADABLE or FILE_TROUBLE
 * with errno, of the last one in the order of the enum that is `there`.
 */
enum file_kind sidecar_look(int dir_fd, const char *name, uid_t owner,
                            struct sidecars *ret_sidecars);

/* What is there, as it is now: 0 if nothing is. */
uint64_t sidecar_hash(const struct sidecars *sidecars);

/*
 * Is there no checksum, or is it the one of the file's bytes? If not, that is added to the
 * violations.
 */
bool sidecar_agrees(const struct sidecars *sidecars, const char *name,
                    const unsigned char sha256[DIGEST_SIZE], struct violations *violations);

/* The checksum of `base` in the `len` bytes of such a file. */
bool sidecar_parse(const char *text, size_t len, const char *base,
                   unsigned char ret_sha256[DIGEST_SIZE]);

#endif
