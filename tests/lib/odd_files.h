/*
 * odd_files: regular files, and what a drop directory may hold besides: links, a FIFO, a socket,
 * directories. Each regular file that ends in .csv has 7 bytes, but for user/in.csv.
 */
#ifndef PHASESENTINEL_ODD_FILES_H
#define PHASESENTINEL_ODD_FILES_H

#include <sys/socket.h>
#include <sys/un.h>

#include "lib/place.h"

static void odd_files_make(int dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    place_put_text(dir, "file.csv", "content");
    symlinkat("file.csv", dir, "link.csv");
    symlinkat("nothing", dir, "dangling.csv");
    symlinkat("/etc/passwd", dir, "outside.csv");
    mkfifoat(dir, "fifo.csv", 0666);
    mkdirat(dir, "directory.csv", 0777);
    mkdirat(dir, "user", 0777);
    symlinkat("user", dir, "linked");
    place_put_text(dir, "user/in.csv", "inner");
    mkdirat(dir, "user/deep", 0777);
    mkdirat(dir, "user/deep/er", 0777);
    place_put_text(dir, "user/deep/er/in.csv", "content");
    symlinkat("er/in.csv", dir, "user/deep/link.csv");
    symlinkat("..", dir, "user/up");
    linkat(dir, "file.csv", dir, "hard.csv", 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket.csv", place);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    close(fd);
}

#endif
