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

struct setup {
    const char *config_path; /* -c, else PHASESENTINEL_CONFIG, else the installed one */
    const char *data_dir;    /* -d; NULL: what the configuration says */
    bool allow_root;
    struct config config;
    struct schema schema;
    struct datadir dir;
};

/* The options that both programs have: c, d, h, V and --allow-root (SETUP_ALLOW_ROOT). */
#define SETUP_SHORT_OPTIONS "c:d:hV"
#define SETUP_ALLOW_ROOT    0x100
#define SETUP_LONG_OPTIONS                                                                         \
    {"config", required_argument, NULL, 'c'}, {"data-dir", required_argument, NULL, 'd'},          \
        {"allow-root", no_argument, NULL, SETUP_ALLOW_ROOT}, {"help", no_argument, NULL, 'h'},     \
    {                                                                                              \
        "version", no_argument, NULL, 'V'                                                          \
    }

void setup_init(struct setup *setup);

/* Takes one of these options (not h and V); false if it is none of them. */
bool setup_take_option(struct setup *setup, int option, const char *argument);

/* Reads configuration and schema, becomes the data directory's owner. Ignores the signals that file
 * work raises. */
int setup_load(struct setup *setup, struct cause *cause);

enum setup_dirs { SETUP_CREATE_DIRS, SETUP_LOOK_ONLY };
int setup_open_dirs(struct setup *setup, enum setup_dirs dirs, struct cause *cause);

void setup_free(struct setup *setup);

/* Logs the cause, unless that has been done, and gives the exit code. */
int setup_fail(const struct cause *cause);

#endif
