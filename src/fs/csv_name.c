#include "fs/csv_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

char *path_normalize(const char *directory, const char *path)
{
    size_t len = strlen(directory), part;
    char *absolute;

    if (*path == '/')
        return strdup(path);
    for (;; path += part) {
        path += strspn(path, "/");
        part = strcspn(path, "/");
        if (part == 2 && strncmp(path, "..", 2) == 0)
            while (len > 0 && directory[--len] != '/')
                ;
        else if (part != 1 || *path != '.')
            break;
    }
    while (len > 0 && directory[len - 1] == '/')
        len--;
    if (asprintf(&absolute, "%.*s%s%s", (int)len, directory, *path != '\0' || len == 0 ? "/" : "",
                 path) < 0)
        return NULL;
    return absolute;
}

bool path_is_hidden(const char *path)
{
    return path[0] == '.' || strstr(path, "/.") != NULL;
}

bool csv_name_is_accepted(const char *name)
{
    return !path_is_hidden(name) && *csv_name_suffix(path_base(name)) != '\0';
}

bool csv_name_is_scanned_directory(const char *name)
{
    return !path_is_hidden(name) && strcmp(path_base(name), "lost+found") != 0;
}

const char *csv_name_suffix(const char *name)
{
    static const char *const suffixes[] = {".csv", ".csv.gz", ".csv.zst"};
    size_t len = strlen(name), i;

    for (i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (len > strlen(suffixes[i]) &&
            strcasecmp(name + len - strlen(suffixes[i]), suffixes[i]) == 0)
            return name + len - strlen(suffixes[i]);
    return name + len;
}

size_t csv_name_length(const char *name)
{
    const char *suffix = csv_name_suffix(name);

    return (size_t)(suffix - name) + (*suffix == '\0' ? 0 : strlen(".csv"));
}
