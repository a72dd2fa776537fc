#include "base/log.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/place.h"
#include "lib/unit.h"

static int dir;
static struct buffer said;

static void begin(void)
{
    int fd = openat(dir, "log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        abort();
    close(fd);
}

static const char *logged(void)
{
    place_get(dir, "log", &said);
    return buffer_text(&said);
}

static void test_levels(void)
{
    check(log_level_from_name("error") == LOG_LEVEL_ERROR &&
              log_level_from_name("debug") == LOG_LEVEL_DEBUG && log_level_from_name("Error") < 0 &&
              log_level_from_name("") < 0 && log_level_from_name("errors") < 0,
          "each level has its name");
    log_open("unit", false);
    begin();
    log_debug("too much");
    log_info("this %s", "too");
    check_text(logged(), "unit: this too\n", "all levels but debug are logged by default");
    begin();
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("not said");
    log_error("said");
    check_text(logged(), "unit: said\n", "only errors are logged");
    log_set_level(LOG_LEVEL_DEBUG);
    begin();
    log_debug("all");
    check_text(logged(), "unit: all\n", "all levels are logged");
}

static void test_printable(void)
{
    char longest[5000];

    begin();
    log_notice("%s", "a\nunit: forged\x1B[2J\xFF");
    check_text(logged(), "unit: a\\x0Aunit: forged\\x1B[2J\\xFF\n", "no line can be forged");
    begin();
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    log_notice("%s", longest);
    check(strlen(logged()) > 1000 && logged()[strlen(logged()) - 1] == '\n' &&
              strchr(logged(), '\n') == logged() + strlen(logged()) - 1,
          "a long text makes one line");
}

static void test_time(void)
{
    begin();
    log_open("unit", true);
    log_warning("text");
    check(strlen(logged()) == 24 + 1 + 8 + 5 && logged()[10] == 'T' && logged()[23] == 'Z' &&
              strcmp(logged() + 24, " warning text\n") == 0,
          "a line begins with time and level: %s", logged());
}

static void test_journal(void)
{
    struct stat st;
    char stream[64];

    begin();
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open("unit", true);
    log_error("e");
    log_debug("d");
    check_text(logged(), "<3>e\n<7>d\n", "a line for journald begins with its priority");
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_open("unit", false);
    begin();
    log_error("e");
    check_text(logged(), "unit: e\n", "a line for another stderr does not");
}

static void test_closed(void)
{
    close(STDERR_FILENO);
    log_error("nobody hears");
    check(true, "a log that cannot be written to does not stop the work");
}

int main(void)
{
    dir = place_enter();
    unsetenv("JOURNAL_STREAM");
    test_levels();
    test_printable();
    test_time();
    test_journal();
    test_closed();
    buffer_free(&said);
    close(dir);
    return unit_done();
}
