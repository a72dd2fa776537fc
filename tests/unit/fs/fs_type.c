#include "fs/fs_type.h"

#include <stddef.h>

#include "lib/place.h"
#include "lib/unit.h"

static void test_types(void)
{
    static const struct {
        uint32_t type;
        const char *name;
    } cases[] = {
        {0x6969, "NFS"},      {0xFF534D42, "CIFS"},
        {0xFE534D42, "CIFS"}, {0x65735546, "FUSE"},
        {0x01021997, "9p"},   {0x794c7630, "overlay"},
        {0xEF53, NULL},       {0x58465342, NULL},
        {0x01021994, NULL},   {0x9123683E, NULL},
        {0xF2F52010, NULL},   {0x2FC12FC1, NULL},
        {0x65735543, NULL},   {0, NULL},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = fs_type_misses_events(cases[i].type);

        check(name == NULL ? cases[i].name == NULL
                           : cases[i].name != NULL && strcmp(name, cases[i].name) == 0,
              "%08x is %s", cases[i].type, name == NULL ? "one that tells" : name);
    }
}

static void test_name(void)
{
    int shm = open("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC);

    check(fs_type_name(-1) == NULL, "a closed descriptor has no name");
    check(shm < 0 || fs_type_name(shm) == NULL, "tmpfs reports all events");
    if (shm >= 0)
        close(shm);
}

int main(void)
{
    test_types();
    test_name();
    return unit_done();
}
