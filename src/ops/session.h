/*
 * session: the common start of all programs: options, configuration, schema, user, data directory.
 *
 *     session_init
 *     session_take_option     for each option of the command line
 *     session_load
 *     session_open_dirs
 *     session_free            also when one of them failed
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
    const char *data_dir;    /* -d; NULL: as configured */
    bool allow_root;
    struct config config;
    struct schema schema;
    struct datadir dir;
};

/* The options of every program, for getopt_long: -c, -d, -h, -V and --allow-root. */
#define SESSION_SHORT_OPTIONS "c:d:hV"
#define SESSION_ALLOW_ROOT    0x100
#define SESSION_LONG_OPTIONS                                                                       \
    {"config", required_argument, NULL, 'c'}, {"data-dir", required_argument, NULL, 'd'},          \
        {"allow-root", no_argument, NULL, SESSION_ALLOW_ROOT}, {"help", no_argument, NULL, 'h'},   \
    {                                                                                              \
        "version", no_argument, NULL, 'V'                                                          \
    }

void session_init(struct session *session);

/* Take one of these options, but -h and -V. Return false if it is another one. */
bool session_take_option(struct session *session, int option, const char *argument);

/* Load configuration and schema, and become the owner of the data directory if started as root.
 * Signals that file operations raise are ignored from then on. */
int session_load(struct session *session, struct cause *cause);

enum session_dirs {
    SESSION_CREATE_DIRS, /* create what is missing */
    SESSION_LOOK_ONLY,   /* change nothing; a missing directory is -1 in session->dir */
};

/* Open the directories of the data directory, except the drop directory. */
int session_open_dirs(struct session *session, enum session_dirs dirs, struct cause *cause);

void session_free(struct session *session);

/* Log the cause, unless that was done already. Return the exit code. */
int session_fail(const struct cause *cause);

#endif
