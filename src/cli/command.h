/*
 * command: what the commands of phasesentinel share.
 *
 * A command is a function in cmd_NAME.c and a line of the table in main.c. It takes its own
 * arguments (args.values[0] is its name), loads the session and returns an exit code, or -1 with a cause.
 * Data goes to stdout, messages to stderr.
 */
#ifndef PHASESENTINEL_COMMAND_H
#define PHASESENTINEL_COMMAND_H

#include <stdbool.h>

#include "base/cause.h"
#include "ops/session.h"

/* The arguments of main, from the name of the command on. */
struct args {
    int count;
    char **values;
};

struct command {
    const char *name;
    const char *arguments;
    const char *summary;
    const char *help; /* examples first */
    int (*run)(const struct command *command, struct session *session, struct args args,
               struct cause *cause);
};

int command_check(const struct command *command, struct session *session, struct args args,
                  struct cause *cause);
int command_merge(const struct command *command, struct session *session, struct args args,
                  struct cause *cause);
int command_adopt(const struct command *command, struct session *session, struct args args,
                  struct cause *cause);
int command_save(const struct command *command, struct session *session, struct args args,
                 struct cause *cause);
int command_stats(const struct command *command, struct session *session, struct args args,
                  struct cause *cause);
int command_status(const struct command *command, struct session *session, struct args args,
                   struct cause *cause);

#define COMMAND_DONE 0
#define COMMAND_BAD  1    /* the exit code for a file that is not valid */
#define COMMAND_HELP (-2) /* a result of the functions below, no exit code */

#define COMMAND_LOCK_WAIT 30000 /* milliseconds that a command waits for state/lock */

/*
 * Take the next option, as getopt_long does. `own` and `own_short` are the command's options; those
 * of every command are handled here. Return the option's value, -1 at the end, or COMMAND_HELP when
 * the command must end with the exit code *ret_code: help was printed, or a usage message.
 */
int command_option(const struct command *command, struct session *session, struct args args,
                   const char *own_short, const struct option *own, int *ret_code);

/*
 * Take all arguments of a command that has no option but --json, and load the session without
 * changing the data directory. Return 0, or -1 with a cause, or COMMAND_HELP as command_option.
 */
int command_begin_reading(const struct command *command, struct session *session, struct args args,
                          bool *ret_json, int *ret_code, struct cause *cause);

#endif
