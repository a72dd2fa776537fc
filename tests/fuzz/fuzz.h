/*
 * fuzz: the frame of a fuzz target, a program without main that tries one input and ends the
 * process where something does not hold. libFuzzer calls it (`make fuzz`), or replay.c does for
 * each file of its corpus (`make check`).
 */
#ifndef PHASESENTINEL_FUZZ_H
#define PHASESENTINEL_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* fuzz_require(condition, "what should hold") */
#define fuzz_require(condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: ", __FILE__, __LINE__);                         \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Create a file without a name. */
UNUSED static int fuzz_file(void)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0)
        abort();
    return fd;
}

/* Replace the content of a file. */
UNUSED static void fuzz_put(int fd, const void *bytes, size_t len)
{
    if (ftruncate(fd, 0) < 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len)
        abort();
}

/* Return a path that opens the file of a descriptor. */
UNUSED static const char *fuzz_path(int fd, char out[64])
{
    snprintf(out, 64, "/proc/self/fd/%d", fd);
    return out;
}

#endif
