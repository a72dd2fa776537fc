/*
 * Tries each file of a corpus once, without libFuzzer, and prints a TAP line for each. A target
 * that is not content ends the process, and the file is the one named last.
 *
 * usage: replay [FILE…]: these; else all of the target's corpus
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "fuzz.h"

static int count;

static void replay(const char *path)
{
    FILE *file = fopen(path, "re");
    struct buffer bytes = {0};
    const char *slash = strrchr(path, '/');
    unsigned char *exact;
    int c;

    if (file == NULL) {
        printf("Bail out! cannot open %s\n", path);
        exit(1);
    }
    while ((c = getc(file)) != EOF)
        buffer_byte(&bytes, (char)c);
    fclose(file);
    printf("# %s\n", path);
    fflush(stdout);
    /* Allocate exactly the size, so that a sanitizer sees reads behind it. */
    exact = malloc(bytes.len + (bytes.len == 0));
    if (exact == NULL || buffer_failed(&bytes))
        abort();
    if (bytes.len > 0)
        memcpy(exact, bytes.data, bytes.len);
    LLVMFuzzerTestOneInput(exact, bytes.len);
    printf("ok %d - %s\n", ++count, slash == NULL ? path : slash + 1);
    free(exact);
    buffer_free(&bytes);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    char path[4096];
    int i, n = 0;

    for (i = 1; i < argc; i++)
        replay(argv[i]);
    if (argc == 1) {
        n = scandir(CORPUS, &entries, is_input, alphasort);
        for (i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/%s", CORPUS, entries[i]->d_name);
            free(entries[i]);
            replay(path);
        }
        if (n >= 0)
            free(entries);
        if (n <= 0)
            printf("not ok %d - there is a corpus in %s\n", ++count, CORPUS);
    }
    printf("1..%d\n", count);
    return argc == 1 && n <= 0;
}
