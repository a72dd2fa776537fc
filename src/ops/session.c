#include "ops/session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fs/privilege.h"

void session_init(struct session *session)
{
    const char *path = getenv("PHASESENTINEL_CONFIG");

    *session =
        (struct session){.config_path = path != NULL && path[0] != '\0' ? path : CONFIG_FILE};
}

bool session_take_option(struct session *session, int option, const char *argument)
{
    switch (option) {
    case 'c':
        session->config_path = argument;
        return true;
    case 'd':
        session->data_dir = argument;
        return true;
    case SESSION_ALLOW_ROOT:
        session->allow_root = true;
        return true;
    default:
        return false;
    }
}

int session_load(struct session *session, struct cause *cause)
{
    char *absolute;

    /* Ignore the signals that would kill the process: SIGIO comes when a lease is broken, SIGPIPE when a reader
     * closes the pipe, SIGXFSZ at the file size limit. */
    signal(SIGIO, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (config_load(&session->config, session->config_path, cause) < 0)
        return -1;
    log_set_level(session->config.level);
    if (session->data_dir != NULL) {
        absolute = realpath(session->data_dir, NULL);
        free(session->config.data_dir);
        session->config.data_dir = absolute != NULL ? absolute : strdup(session->data_dir);
        if (session->config.data_dir == NULL)
            return cause_memory(cause);
    }
    if (schema_load(&session->schema, session->config.schema, cause) < 0)
        return -1;
    return privilege_drop(session->config.data_dir, session->allow_root, cause);
}

int session_open_dirs(struct session *session, enum session_dirs dirs, struct cause *cause)
{
    return dirs == SESSION_CREATE_DIRS
               ? datadir_open(&session->dir, session->config.data_dir, cause)
               : datadir_open_existing(&session->dir, session->config.data_dir, cause);
}

void session_free(struct session *session)
{
    datadir_close(&session->dir);
    schema_free(&session->schema);
    config_free(&session->config);
}

int session_fail(const struct cause *cause)
{
    if (!cause->reported)
        log_error("%s", cause->text);
    return cause_exit_code(cause);
}
