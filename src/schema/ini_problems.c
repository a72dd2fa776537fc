#include "schema/ini_problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/log.h"

#define WORD_LIMIT 64

void ini_problems_add(struct ini_problems *list, unsigned line, const char *format, ...)
{
    size_t at = list->count;
    va_list args;
    char *text;
    int len;

    if (at >= PROBLEM_LIMIT) {
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
    size_t listed = list->count < PROBLEM_LIMIT ? list->count : PROBLEM_LIMIT, told = 0, used = 0,
           i;
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
            told = i + 1;
        }
    }
    if (listed < list->count)
        log_error("%s: %zu more problems", list->path, list->count - listed);
    failed |= buffer_failed(&all);
    if (failed)
        cause_memory(cause);
    else if (told < list->count)
        cause_set(cause, CAUSE_CONFIG, "%.*s%sand %zu more", (int)used, buffer_text(&all),
                  told > 0 ? "\n" : "", list->count - told);
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

    for (i = 0; i < list->count && i < PROBLEM_LIMIT; i++)
        free(list->items[i].text);
    *list = (struct ini_problems){.path = list->path};
}

/* How many letters must be put in, left out, replaced or swapped with their neighbour; in any case.
 */
static size_t distance(const char *left, size_t left_len, const char *right, size_t right_len)
{
    unsigned char rows[3][WORD_LIMIT + 1];
    size_t i, j;

    for (j = 0; j <= right_len; j++)
        rows[0][j] = (unsigned char)j;
    for (i = 1; i <= left_len; i++) {
        unsigned char *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        row[0] = (unsigned char)i;
        for (j = 1; j <= right_len; j++) {
            bool same = strncasecmp(left + i - 1, right + j - 1, 1) == 0;
            unsigned char best = (unsigned char)(last[j - 1] + !same);

            if (last[j] + 1 < best)
                best = (unsigned char)(last[j] + 1);
            if (row[j - 1] + 1 < best)
                best = (unsigned char)(row[j - 1] + 1);
            if (i > 1 && j > 1 && before[j - 2] + 1 < best &&
                strncasecmp(left + i - 1, right + j - 2, 1) == 0 &&
                strncasecmp(left + i - 2, right + j - 1, 1) == 0)
                best = (unsigned char)(before[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[left_len % 3][right_len];
}

const char *suggestion_nearest(const char *word, const char *const *words)
{
    size_t len = strlen(word), best = len / 3 + 1, far;
    const char *nearest = NULL;

    for (; *words != NULL; words++) {
        if (len > WORD_LIMIT || strlen(*words) > WORD_LIMIT)
            continue;
        far = distance(word, len, *words, strlen(*words));
        if (far < best) {
            best = far;
            nearest = *words;
        }
    }
    return nearest;
}
