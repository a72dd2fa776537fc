#include "cli/command.h"

#include <stdio.h>
#include <string.h>

int command_option(const struct command *command, struct session *session, struct args args,
                   const char *own_short, const struct option *own, int *ret_code)
{
    static const struct option common[] = {SESSION_LONG_OPTIONS};
    struct option all[16] = {{0}}; /* ends with a zeroed entry */
    char shorts[64];
    size_t i, count = sizeof common / sizeof *common;
    int option;

    memcpy(all, common, sizeof common);
    for (i = 0; own != NULL && own[i].name != NULL; i++)
        all[count++] = own[i];
    snprintf(shorts, sizeof shorts, "%s%s", SESSION_SHORT_OPTIONS, own_short);
    while ((option = getopt_long(args.count, args.values, shorts, all, NULL)) != -1) {
        if (option == 'h') {
            printf("Usage: phasesentinel %s %s\n\n%s\n%s. See phasesentinel(1).\n", command->name,
                   command->arguments, command->help, command->summary);
            *ret_code = 0;
            return COMMAND_HELP;
        }
        if (option == 'V') {
            puts("phasesentinel " VERSION);
            *ret_code = 0;
            return COMMAND_HELP;
        }
        if (session_take_option(session, option, optarg))
            continue;
        if (option != '?')
            return option;
        fprintf(stderr, "Try: phasesentinel %s --help\n", command->name);
        *ret_code = 64;
        return COMMAND_HELP;
    }
    return -1;
}

int command_begin_reading(const struct command *command, struct session *session, struct args args,
                          bool *ret_json, int *ret_code, struct cause *cause)
{
    static const struct option own[] = {{"json", no_argument, NULL, 'J'}, {NULL, 0, NULL, 0}};
    int option;

    *ret_json = false;
    while ((option = command_option(command, session, args, "", own, ret_code)) != -1) {
        if (option == COMMAND_HELP)
            return COMMAND_HELP;
        *ret_json = true;
    }
    if (optind < args.count)
        return cause_set(cause, CAUSE_USAGE, "%s takes no arguments", command->name);
    if (session_load(session, cause) < 0)
        return -1;
    return session_open_dirs(session, SESSION_LOOK_ONLY, cause);
}
