#include "store/spill.h"

#include <dirent.h>

#include "base/digest.h"
#include "fs/durable.h"
#include "lib/place.h"
#include "lib/unit.h"

static int dir;

static bool holds(const struct spill *spill, const struct buffer *model)
{
    struct cause cause;
    char *bytes = malloc(model->len + 1);
    bool same = spill->length == model->len &&
                spill_hash(spill) == digest_check(model->len > 0 ? model->data : "", model->len);

    if (bytes == NULL)
        abort();
    if (spill->fd < 0)
        same = same && spill->memory.len == model->len &&
               (model->len == 0 || memcmp(spill->memory.data, model->data, model->len) == 0);
    else
        same =
            same &&
            durable_read(spill->fd, bytes, model->len + 1, 0, "x", &cause) == (ssize_t)model->len &&
            memcmp(bytes, model->data, model->len) == 0;
    free(bytes);
    return same;
}

static size_t names_in(int fd)
{
    DIR *list = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(list)) != NULL)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(list);
    return count;
}

static void test_growing(void)
{
    struct buffer model = {0}, piece = {0};
    size_t round, i, wrong = 0, files = 0, named = 0;
    struct spill spill;
    struct cause cause;

    spill_init(&spill, dir);
    check(spill.length == 0 && spill_hash(&spill) == digest_check("", 0), "a new spill is empty");
    for (round = 0; round < 30; round++) {
        for (i = place_below(12); i > 0; i--) {
            size_t len = place_below(round % 2 == 0 ? 100 : 3000000);

            buffer_clear(&piece);
            while (piece.len < len)
                buffer_byte(&piece, (char)place_below(256));
            buffer_append(&model, piece.data, piece.len);
            if (spill_add(&spill, &piece, &cause) < 0)
                abort();
        }
        wrong += !holds(&spill, &model);
        files += spill.fd >= 0;
        named += names_in(dir);
        spill_clear(&spill);
        buffer_clear(&model);
        wrong += !holds(&spill, &model);
    }
    check(wrong == 0, "it holds what was added, and nothing once cleared: %zu wrong", wrong);
    check(files > 4 && files < 27, "many rows are in a file (%zu of 30), few in memory", files);
    check(named == 0, "the file has no name: a crash leaves nothing");
    spill_free(&spill);
    spill_free(&spill);
    buffer_free(&model);
    buffer_free(&piece);
}

/* The spill takes over the buffer's memory and gives back what it had before. */
static void test_memory(void)
{
    struct buffer bytes = {0};
    struct spill spill;
    struct cause cause;
    const char *data;

    spill_init(&spill, dir);
    buffer_string(&bytes, "rows");
    data = bytes.data;
    check(spill_add(&spill, &bytes, &cause) == 0 && spill.memory.data == data,
          "the first rows are taken over with their memory");
    spill_clear(&spill);
    buffer_string(&bytes, "others");
    check(spill_add(&spill, &bytes, &cause) == 0 && bytes.data == data,
          "the memory from before comes back");
    buffer_free(&bytes);
    spill_free(&spill);
}

int main(void)
{
    alarm(300);
    dir = place_enter();
    test_growing();
    test_memory();
    close(dir);
    return unit_done();
}
