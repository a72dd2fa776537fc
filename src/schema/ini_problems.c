#include "schema/ini_problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"

void ini_problems_add(struct ini_problems *list, unsigned line, const char *format, ...)
{
    size_t at = list->count;
    va_list args;
    char *text;
    int len;

    if (at >= INI_PROBLEMS_LISTED) {
        list->count++;
        return;
    }
    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        list->failed = true;
        return;
    }
    for (; at > 0 && list->items[at - 1].line > line; at--)
        list->items[at] = list->items[at - 1];
    list->items[at].text = text;
    list->items[at].line = line;
    list->count++;
}

static void write_item(struct buffer *out, const struct ini_problems *list, size_t i)
{
    buffer_string(out, list->path);
    if (list->items[i].line > 0)
        buffer_printf(out, ":%u", list->items[i].line);
    buffer_printf(out, ": %s", list->items[i].text);
}

int ini_problems_report(const struct ini_problems *list, struct cause *cause)
{
    const size_t room = sizeof cause->text - sizeof "\nand 18446744073709551615 more";
    size_t listed = list->count < INI_PROBLEMS_LISTED ? list->count : INI_PROBLEMS_LISTED,
           shown = 0, used = 0, i;
    struct buffer line = {0}, all = {0};
    bool failed = list->failed;

    for (i = 0; i < listed && !failed; i++) {
        buffer_clear(&line);
        write_item(&line, list, i);
        failed = buffer_failed(&line);
        if (failed)
            break;
        log_error("%s", buffer_text(&line));
        buffer_printf(&all, "%s%s", i > 0 ? "\n" : "", buffer_text(&line));
        if (all.len <= room) {
            used = all.len;
            shown = i + 1;
        }
    }
    if (listed < list->count)
        log_error("%s: %zu more problems", list->path, list->count - listed);
    failed |= buffer_failed(&all);
    if (failed)
        cause_memory(cause);
    else if (shown < list->count)
        cause_set(cause, CAUSE_CONFIG, "%.*s%sand %zu more", (int)used, buffer_text(&all),
                  shown > 0 ? "\n" : "", list->count - shown);
    else if (list->count > 0)
        cause_set(cause, CAUSE_CONFIG, "%s", buffer_text(&all));
    if (!failed && list->count > 0)
        cause->reported = true;
    buffer_free(&line);
    buffer_free(&all);
    return failed || list->count > 0 ? -1 : 0;
}

void ini_problems_free(struct ini_problems *list)
{
    size_t i;

    for (i = 0; i < list->count && i < INI_PROBLEMS_LISTED; i++)
        free(list->items[i].text);
    *list = (struct ini_problems){.path = list->path};
}
