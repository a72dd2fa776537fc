/*
 * setup: what both programs do first. Options, configuration, schema, the right user, the data
 * directory.
 */
#ifndef PHASESENTINEL_SESSION_H
#define PHASESENTINEL_SESSION_H

#include <getopt.h>
#include <stdbool.h>

#include "base/cause.h"
#include "schema/config.h"
#include "store/datadir.h"
#include "schema/schema.h"

struct session {
    const char *config_path; /* -c, else PHASESENTINEL_CONFIG, else the installed one */
    const char *data_dir;    /* -d; NULL: what the configuration says */
    bool allow_root;
    struct config config;
    struct schema schema;
    struct datadir dir;
};

/* The options that both programs have: c, d, h, V and --allow-root (SESSION_ALLOW_ROOT). */
#define SESSION_SHORT_OPTIONS "c:d:hV"
#define SESSION_ALLOW_ROOT    0x100
#define SESSION_LONG_OPTIONS                                                                       \
    {"config", required_argument, NULL, 'c'}, {"data-dir", required_argument, NULL, 'd'},          \
        {"allow-root", no_argument, NULL, SESSION_ALLOW_ROOT}, {"help", no_argument, NULL, 'h'},   \
    {                                                                                              \
        "version", no_argument, NULL, 'V'                                                          \
    }

void session_init(struct session *session);

/* Takes one of these options (not h and V); false if it is none of them. */
bool session_take_option(struct session *session, int option, const char *argument);

/* Reads configuration and schema, becomes the data directory's owner. Ignores the signals that file
 * work raises. */
int session_load(struct session *session, struct cause *cause);

enum session_dirs { SESSION_CREATE_DIRS, SESSION_LOOK_ONLY };
int session_open_dirs(struct session *session, enum session_dirs dirs, struct cause *cause);

void session_free(struct session *session);

/* Logs the cause, unless that has been done, and gives the exit code. */
int session_fail(const struct cause *cause);

#endif
