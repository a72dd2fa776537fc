/* adopt: take an existing training file as it is. */
#include "cli/command.h"

#include <string.h>

#include "ops/merge_run.h"

int command_adopt(const struct command *command, struct session *session, struct args args,
                  struct cause *cause)
{
    static const struct option own[] = {{"drops", required_argument, NULL, 'D'},
                                        {NULL, 0, NULL, 0}};
    const struct merge_run_request request = {.program = "phasesentinel adopt",
                                              .wait_ms = COMMAND_LOCK_WAIT};
    struct merge_run run;
    const char *drops = NULL;
    int option, code, result;

    while ((option = command_option(command, session, args, "", own, &code)) != -1) {
        if (option == COMMAND_HELP)
            return code;
        drops = optarg;
    }
    if (optind < args.count || drops == NULL ||
        (strcmp(drops, "merged") != 0 && strcmp(drops, "new") != 0))
        return cause_set(cause, CAUSE_USAGE,
                         "adopt needs --drops merged or --drops new: are the rows of the files "
                         "that lie in " DATADIR_DROP "/ in the training file already?");
    if (session_load(session, cause) < 0 ||
        session_open_dirs(session, SESSION_CREATE_DIRS, cause) < 0 ||
        merge_run_open(&run, session, &request, cause) < 0)
        return -1;
    result = merge_run_adopt(&run, strcmp(drops, "merged") == 0, cause);
    merge_run_close(&run);
    return result;
}
