/* stats: print the statistics as the last batch wrote them. */
#include "cli/command.h"

#include <stdio.h>

#include "base/buffer.h"
#include "fs/durable.h"

int command_stats(const struct command *command, struct session *session, struct args args,
                  struct cause *cause)
{
    struct buffer text = {0};
    int code, result;
    bool json;

    result = command_begin_reading(command, session, args, &json, &code, cause);
    if (result != 0)
        return result == COMMAND_HELP ? code : -1;
    if (session->dir.stats >= 0)
        result = durable_read_file(session->dir.stats, json ? "stats.json" : "summary.txt", &text,
                                   cause);
    if (result == 0 && text.len == 0)
        result = cause_set(
            cause, CAUSE_NO_INPUT,
            "there are no statistics in %s yet: run phasesentinel merge, or start the daemon",
            session->dir.path);
    if (result == 0)
        fwrite(text.data, 1, text.len, stdout);
    buffer_free(&text);
    return result;
}
