#include "csv/file_type.h"

#include <string.h>

static const struct magic {
    const char *bytes;
    size_t len;
    const char *kind;
    bool utf16;
} magics[] = {
    {"\x1F\x8B", 2, "gzip: unpack it first (gunzip)", false},
    {"PK\x03\x04", 4, "zip, or a spreadsheet (.xlsx, .ods): unpack it, or export it as CSV", false},
    {"PK\x05\x06", 4, "an empty zip archive", false},
    {"PAR1", 4, "Parquet: export it as CSV", false},
    {"\x28\xB5\x2F\xFD", 4, "zstd: unpack it first (unzstd)", false},
    {"\xFD"
     "7zXZ\0",
     6, "xz: unpack it first (unxz)", false},
    {"BZh", 3, "bzip2: unpack it first (bunzip2)", false},
    {"7z\xBC\xAF\x27\x1C", 6, "a 7z archive: unpack it first", false},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, "an old spreadsheet (.xls): export it as CSV", false},
    {"%PDF-", 5, "PDF", false},
    {"SQLite format 3", 16, "an SQLite database: export the table as CSV", false},
    {"ARROW1", 6, "Arrow or Feather: export it as CSV", false},
    {"\x89HDF", 4, "HDF5: export it as CSV", false},
    {"\xFF\xFE", 2, "UTF-16: save it as UTF-8", true},
    {"\xFE\xFF", 2, "UTF-16: save it as UTF-8", true},
};

const char *file_type_detect(const void *bytes, size_t len, bool *ret_utf16)
{
    size_t i;

    for (i = 0; i < sizeof magics / sizeof *magics; i++) {
        if (len < magics[i].len || memcmp(bytes, magics[i].bytes, magics[i].len) != 0)
            continue;
        *ret_utf16 = magics[i].utf16;
        return magics[i].kind;
    }
    return NULL;
}
