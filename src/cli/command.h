/*
 * command: what `phasesentinel COMMAND` does, one function each.
 *
 * A command takes its own arguments (argv[0] is its name), reads the configuration through `setup`
 * and gives an exit code, or -1 with a cause. Data goes to stdout, messages to stderr.
 */
#ifndef PHASESENTINEL_COMMAND_H
#define PHASESENTINEL_COMMAND_H

#include "base/cause.h"
#include "ops/session.h"

struct command {
    const char *name;
    const char *arguments;
    const char *summary;
    const char *help; /* examples first */
    int (*run)(const struct command *command, struct session *session, int argc, char **argv,
               struct cause *cause);
};

int command_check(const struct command *command, struct session *session, int argc, char **argv,
                  struct cause *cause);
int command_merge(const struct command *command, struct session *session, int argc, char **argv,
                  struct cause *cause);
int command_adopt(const struct command *command, struct session *session, int argc, char **argv,
                  struct cause *cause);
int command_save(const struct command *command, struct session *session, int argc, char **argv,
                 struct cause *cause);
int command_stats(const struct command *command, struct session *session, int argc, char **argv,
                  struct cause *cause);
int command_status(const struct command *command, struct session *session, int argc, char **argv,
                   struct cause *cause);

#define COMMAND_DONE 0
#define COMMAND_BAD  1 /* some file is not valid */
#define COMMAND_HELP (-2)

/*
 * The next option of the command: its value; -1 at the end; `own` and `own_short` are the command's
 * own ones beside those of every command, which are taken here. COMMAND_HELP: help was printed, or
 * 64's message: *ret_code is the exit code.
 */
int command_option(const struct command *command, struct session *session, int argc, char **argv,
                   const char *own_short, const struct option *own, int *ret_code);

/* Drops all that a run of the intake changes: merges what is due until nothing is left but what may
 * still change. */
struct batch;
int command_run_intake(struct batch *batch, struct cause *cause);

#endif
