/*
 * save: put metric rows into the drop directory as a file that is complete from its first instant.
 *
 * The file is named ID_SOURCE_YYYYmmdd_HHMMSS.csv. It is written and synced under a hidden name,
 * which no program takes for a dropped file, checked as the daemon will check it, and then renamed.
 * A crash may leave the hidden file, never a partial one under its final name.
 */
#ifndef PHASESENTINEL_SAVE_H
#define PHASESENTINEL_SAVE_H

#include "base/buffer.h"
#include "base/cause.h"
#include "ops/session.h"

#define SAVE_NAME_SIZE 512

struct save_request {
    const char *user_id, *source;
    const char *label;         /* NULL: none */
    const char *input_name;    /* the source of the rows, for messages */
    const struct buffer *rows; /* CSV with a header */
};

enum save_result {
    SAVE_FAILED = -1, /* with a cause */
    SAVE_DONE,
    SAVE_INVALID, /* the daemon would not accept the rows; nothing is left behind */
};

/* Check that user_id, source and label fit their fields and can stand in a file name. CAUSE_USAGE
 * if not. */
int save_check_request(const struct save_request *request, const struct schema *schema,
                       struct cause *cause);

/*
 * Save the rows; columns are added for what neither the rows nor the file's name say. The session's
 * directories are open. On SAVE_DONE `name` is the file's name; on SAVE_INVALID `messages` has a
 * line for each violation.
 */
enum save_result save_rows(struct session *session, const struct save_request *request,
                           char name[SAVE_NAME_SIZE], struct buffer *messages, struct cause *cause);

#endif
