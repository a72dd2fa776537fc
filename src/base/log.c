#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/escape.h"

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};
static const int journal_priorities[] = {3, 4, 5, 6, 7};

static struct {
    const char *program;
    enum log_level level;
    bool with_time;
    bool journal;
} log_settings = {.program = "phasesentinel", .level = LOG_LEVEL_INFO};

int log_level_from_name(const char *name)
{
    int i;

    for (i = 0; i < (int)(sizeof level_names / sizeof *level_names); i++)
        if (strcmp(name, level_names[i]) == 0)
            return i;
    return -1;
}

/* Compare stderr with JOURNAL_STREAM, which systemd sets to DEVICE:INODE of the stream: stderr may
 * have been redirected since. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
        return false;
    snprintf(ours, sizeof ours, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(stream, ours) == 0;
}

void log_open(const char *program, bool with_time)
{
    log_settings.program = program;
    log_settings.with_time = with_time;
    log_settings.journal = stderr_is_journal();
}

void log_set_level(enum log_level level)
{
    log_settings.level = level;
}

void log_line(enum log_level level, const char *format, ...)
{
    struct buffer text = {0}, line = {0};
    char when[CLOCK_TEXT_SIZE];
    va_list args;
    char small[2048];
    int len;

    if (level > log_settings.level)
        return;
    va_start(args, format);
    len = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (len < 0)
        return;
    buffer_append(&text, small, (size_t)len < sizeof small ? (size_t)len : sizeof small - 1);

    if (log_settings.journal)
        buffer_printf(&line, "<%d>", journal_priorities[level]);
    else if (log_settings.with_time)
        buffer_printf(&line, "%s %-7s ", clock_print(when, clock_real()), level_names[level]);
    else
        buffer_printf(&line, "%s: ", log_settings.program);
    escape_printable(&line, text.data, text.len);
    buffer_byte(&line, '\n');
    /* Write each line with one call, so that lines of several processes do not mix. Ignore errors:
     * a log that cannot be written must not stop the work. */
    if (!buffer_failed(&line))
        (void)!write(STDERR_FILENO, line.data, line.len);
    buffer_free(&text);
    buffer_free(&line);
}
