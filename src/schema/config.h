/*
 * config: the configuration, from phasesentinel.ini.
 *
 * config_load reads the file strictly: unknown sections and keys, duplicates, values out of range
 * and whatever iniparser would accept silently are reported all at once, each as a line "FILE:LINE:
 * text" in the cause (CAUSE_CONFIG; as many lines as fit) and as an error in the log. Every key has
 * a default. The table `settings` in config.c has all keys. Relative paths start at the directory of the file that names them.
 */
#ifndef PHASESENTINEL_CONFIG_H
#define PHASESENTINEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/log.h"

/* The file that must exist before NAME is checked: none, NAME.sha256, NAME.done. */
enum config_confirm { CONFIG_CONFIRM_NONE, CONFIG_CONFIRM_CHECKSUM, CONFIG_CONFIRM_DONE };
enum config_merge { CONFIG_MERGE_ARRIVAL, CONFIG_MERGE_TIMER };
enum config_source { CONFIG_SOURCE_KEEP, CONFIG_SOURCE_ARCHIVE, CONFIG_SOURCE_DELETE };
enum config_bad_rows { CONFIG_REJECT_FILE, CONFIG_REJECT_ROWS };

struct config {
    char *data_dir; /* owned, absolute */
    char *schema;   /* owned, absolute */
    enum config_merge merge;
    unsigned interval; /* seconds, like the next four */
    unsigned rescan;
    unsigned poll;
    unsigned settle;
    unsigned stale;
    bool recursive;
    enum config_confirm confirm;
    enum config_source source;
    enum config_bad_rows bad_rows;
    unsigned max_bad_percent;
    bool merge_changed;      /* changed = merge */
    bool newline_required;   /* final_newline = required */
    uint64_t max_file_bytes; /* 0: no limit */
    unsigned max_expand_ratio;
    uint64_t max_row_bytes;
    unsigned max_columns;
    unsigned max_reported_errors;
    enum log_level level;
};

/* Read the configuration. Return 0, or -1 with *config freed and zeroed. */
int config_load(struct config *config, const char *path, struct cause *cause);

void config_free(struct config *config);

#endif
