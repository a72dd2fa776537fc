#include "ops/session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fs/privilege.h"

void setup_init(struct setup *setup)
{
    const char *path = getenv("PHASESENTINEL_CONFIG");

    *setup = (struct setup){.config_path = path != NULL && path[0] != '\0' ? path : CONFIG_FILE};
}

bool setup_take_option(struct setup *setup, int option, const char *argument)
{
    switch (option) {
    case 'c':
        setup->config_path = argument;
        return true;
    case 'd':
        setup->data_dir = argument;
        return true;
    case SETUP_ALLOW_ROOT:
        setup->allow_root = true;
        return true;
    default:
        return false;
    }
}

int setup_load(struct setup *setup, struct cause *cause)
{
    char *absolute;

    /* A lease that is broken raises SIGIO, a reader that went away SIGPIPE, a size limit SIGXFSZ:
     * all would kill us. */
    signal(SIGIO, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (config_load(&setup->config, setup->config_path, cause) < 0)
        return -1;
    log_set_level(setup->config.level);
    if (setup->data_dir != NULL) {
        absolute = realpath(setup->data_dir, NULL);
        free(setup->config.data_dir);
        setup->config.data_dir = absolute != NULL ? absolute : strdup(setup->data_dir);
        if (setup->config.data_dir == NULL)
            return cause_memory(cause);
    }
    if (schema_load(&setup->schema, setup->config.schema, cause) < 0)
        return -1;
    return privilege_drop(setup->config.data_dir, setup->allow_root, cause);
}

int setup_open_dirs(struct setup *setup, enum setup_dirs dirs, struct cause *cause)
{
    return dirs == SETUP_CREATE_DIRS ? datadir_open(&setup->dir, setup->config.data_dir, cause)
                                     : datadir_look(&setup->dir, setup->config.data_dir, cause);
}

void setup_free(struct setup *setup)
{
    datadir_close(&setup->dir);
    schema_free(&setup->schema);
    config_free(&setup->config);
}

int setup_fail(const struct cause *cause)
{
    if (!cause->reported)
        log_error("%s", cause->text);
    return cause_exit_code(cause);
}
