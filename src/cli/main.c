/* phasesentinel: the command line, with the table of its commands. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "base/log.h"

static const struct command commands[] = {
    {"check", "FILE...", "say whether files would be accepted, and what is wrong with them",
     "  phasesentinel check metrics.csv\n"
     "  phasesentinel check outbox/*.csv && scp outbox/*.csv "
     "host:/var/lib/phasesentinel/user_data/\n",
     command_check},
    {"merge", "", "merge what lies in the drop directory, once, and end (for cron)",
     "  phasesentinel merge\n"
     "  */5 * * * * phasesentinel merge -c /etc/phasesentinel/phasesentinel.ini\n",
     command_merge},
    {"save", "--user-id ID [--source S] [--label L] [--merge] [FILE]",
     "put metric rows into the drop directory",
     "  collector | phasesentinel save --user-id user_001\n"
     "  phasesentinel save --user-id user_001 --source simulation --label anomaly --merge "
     "metrics.csv\n",
     command_save},
    {"stats", "[--json]", "print the statistics",
     "  phasesentinel stats\n"
     "  phasesentinel stats --json | jq .users\n",
     command_stats},
    {"status", "[--json]", "is the daemon up, what waits and why, what to do next",
     "  phasesentinel status\n"
     "  phasesentinel status --json | jq .waiting\n",
     command_status},
    {"adopt", "--drops merged|new", "take an existing or hand-edited training_data.csv as it is",
     "  phasesentinel adopt --drops merged     the rows of the files that lie in user_data/ are in "
     "it already\n"
     "  phasesentinel adopt --drops new        they are not: merge them\n",
     command_adopt},
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void print_usage(FILE *to)
{
    size_t i;

    fputs("Usage: phasesentinel COMMAND [OPTIONS]\n\n"
          "  phasesentinel check metrics.csv            would it be accepted?\n"
          "  phasesentinel merge                        merge what was dropped\n"
          "  phasesentinel status                       what is going on?\n\n"
          "Commands:\n",
          to);
    for (i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\nOptions of every command:\n"
          "  -c, --config FILE    configuration (else $PHASESENTINEL_CONFIG, else " CONFIG_FILE
          ")\n"
          "  -d, --data-dir DIR   data directory, instead of [paths] data_dir\n"
          "      --allow-root     run as root on a data directory that belongs to root\n"
          "  -h, --help           this text; behind a command, that command's\n"
          "  -V, --version        the version\n\n"
          "Exit codes: 0 done, 1 some file is not valid, 64 usage, 65 damaged ledger or training "
          "file, 66 no such input,\n"
          "74 I/O error, 75 busy, 78 configuration. See phasesentinel(1).\n",
          to);
}

static int run_command(const struct command *command, struct session *session, int argc,
                       char **argv)
{
    struct cause cause = {0};
    int code;

    optind = 0; /* makes getopt scan the new argv from its beginning */
    code = command->run(command, session, (struct args){argc, argv}, &cause);
    if (code < 0)
        code = session_fail(&cause);
    session_free(session);
    /* Succeed only if all output has reached stdout. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("cannot write to stdout");
        return 74;
    }
    return code;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {SESSION_LONG_OPTIONS, {NULL, 0, NULL, 0}};
    struct session session;
    size_t i;
    int option;

    log_open("phasesentinel", false);
    log_set_level(LOG_LEVEL_NOTICE);
    session_init(&session);
    while ((option = getopt_long(argc, argv, "+" SESSION_SHORT_OPTIONS, options, NULL)) != -1) {
        if (option == 'h') {
            print_usage(stdout);
            return 0;
        }
        if (option == 'V') {
            puts("phasesentinel " VERSION);
            return 0;
        }
        if (!session_take_option(&session, option, optarg)) {
            fputs("Try: phasesentinel --help\n", stderr);
            return 64;
        }
    }
    if (optind == argc) {
        print_usage(stderr);
        return 64;
    }
    for (i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, argv[optind]) == 0)
            return run_command(&commands[i], &session, argc - optind, argv + optind);
    fprintf(stderr, "phasesentinel: no command '%s'\nTry: phasesentinel --help\n", argv[optind]);
    return 64;
}
