#include "base/cause.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int cause_set(struct cause *cause, enum cause_kind kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(cause->text, sizeof cause->text, format, args);
    va_end(args);
    cause->kind = kind;
    cause->errnum = 0;
    cause->reported = false;
    return -1;
}

int cause_errno(struct cause *cause, enum cause_kind kind, const char *format, ...)
{
    int errnum = errno;
    size_t used;
    va_list args;

    va_start(args, format);
    vsnprintf(cause->text, sizeof cause->text, format, args);
    va_end(args);
    used = strlen(cause->text);
    snprintf(cause->text + used, sizeof cause->text - used, ": %s", strerror(errnum));
    cause->kind = kind;
    cause->errnum = errnum;
    cause->reported = false;
    return -1;
}

int cause_memory(struct cause *cause)
{
    cause_set(cause, CAUSE_RETRY, "out of memory");
    cause->errnum = ENOMEM;
    return -1;
}

int cause_exit_code(const struct cause *cause)
{
    switch (cause->kind) {
    case CAUSE_USAGE:
        return EX_USAGE;
    case CAUSE_CORRUPT:
        return EX_DATAERR;
    case CAUSE_NO_INPUT:
        return EX_NOINPUT;
    case CAUSE_BUSY:
    case CAUSE_CHANGED:
        return EX_TEMPFAIL;
    case CAUSE_CONFIG:
        return EX_CONFIG;
    case CAUSE_RETRY:
    case CAUSE_PANIC:
        break;
    }
    return EX_IOERR;
}
