#include "drop/sidecar.h"

#include "lib/place.h"
#include "lib/unit.h"

#define SUM   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* of nothing */
#define OTHER "0000000000000000000000000000000000000000000000000000000000000000"
#define UPPER "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

static int dir;

static void test_parse(void)
{
    static const struct {
        const char *text;
        bool found;
    } cases[] = {
        {SUM "  a.csv\n", true},
        {SUM " *a.csv\n", true},
        {SUM "  a.csv", true},
        {SUM "  a.csv\r\n", true},
        {SUM "\n", true},
        {SUM, true},
        {UPPER "  a.csv\n", true},
        {SUM "  /srv/out/a.csv\n", true},
        {SUM "  was-called-otherwise\n", true},
        {"SHA256 (a.csv) = " SUM "\n", true},
        {"SHA256 (x/a.csv) = " SUM, true},
        {"# made by a script\n" SUM "  a.csv\n", true},
        {OTHER "  b.csv\n" SUM "  a.csv\n", true},
        {SUM "  a.csv\n" OTHER "  b.csv\n", true},
        {OTHER "  b.csv\n" SUM "  out/a.csv\n" OTHER "  c.csv\n", true},
        {"\\" SUM "  a.csv\n", true},
        {"", false},
        {"\n", false},
        {SUM "0\n", false},
        {SUM "0  a.csv\n", false},
        {SUM " a.csv\n", false},
        {SUM "\ta.csv\n", false},
        {"g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.csv\n", false},
        {"SHA256 (a.csv) " SUM "\n", false},
        {"SHA512 (a.csv) = " SUM "\n", false},
        {OTHER "  b.csv\n" SUM "  c.csv\n", false},
        {"timestamp,cpu_percent\n1,2\n", false},
    };
    unsigned char nothing[DIGEST_SIZE], sha256[DIGEST_SIZE];
    struct digest digest;
    size_t i, len;

    digest_init(&digest);
    digest_final(&digest, nothing);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(sha256, 0, sizeof sha256);
        check(sidecar_parse(cases[i].text, strlen(cases[i].text), "a.csv", sha256) ==
                      cases[i].found &&
                  (!cases[i].found || memcmp(sha256, nothing, DIGEST_SIZE) == 0),
              "%zu: %s '%s'", i, cases[i].found ? "a checksum in" : "no checksum in",
              cases[i].text);
    }
    for (len = 0; len < strlen(SUM); len++)
        if (sidecar_parse(SUM, len, "a.csv", sha256))
            break;
    check(len == strlen(SUM), "no checksum in a part of its digits: %zu", len);
    check(sidecar_parse(OTHER "  b.csv\n\\" SUM "  x/a\\nb\\\\c.csv\n", strlen(OTHER SUM) + 26,
                        "a\nb\\c.csv", sha256) &&
              memcmp(sha256, nothing, DIGEST_SIZE) == 0,
          "a name with a line end and a backslash");
}

static void test_names(void)
{
    static const struct {
        const char *name;
        size_t len;
    } cases[] = {
        {"a.csv.sha256", 5}, {"a.csv.done", 5},    {"u/a.CSV.done", 7},    {".a.csv.done", 0},
        {"a.done", 0},       {"a.csv.sha512", 0},  {"a.csv", 0},           {".csv.done", 0},
        {"a.csv.DONE", 0},   {".u/a.csv.done", 0}, {"a.csv.done.done", 0},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        check(sidecar_target_length(cases[i].name) == cases[i].len, "%s is %s sidecar",
              cases[i].name, cases[i].len > 0 ? "a" : "no");
}

static void test_read(void)
{
    struct sidecars sidecars, later;
    struct violations violations;
    struct buffer said = {0};
    unsigned char sha256[DIGEST_SIZE];
    struct digest digest;

    digest_init(&digest);
    digest_final(&digest, sha256);
    check(sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_REGULAR &&
              !sidecars.each[SIDECAR_DONE].there && !sidecars.each[SIDECAR_SHA256].there &&
              sidecar_hash(&sidecars) == 0,
          "no sidecar");
    place_put_text(dir, "a.csv.sha256", SUM "  a.csv\n");
    check(sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_REGULAR &&
              sidecars.each[SIDECAR_SHA256].there && sidecars.has_sum &&
              memcmp(sidecars.sha256, sha256, DIGEST_SIZE) == 0,
          "a checksum");
    place_put_text(dir, "a.csv.done", "");
    check(sidecar_read(dir, "a.csv", geteuid(), &later) == FILE_REGULAR &&
              later.each[SIDECAR_DONE].there && later.has_sum &&
              sidecar_hash(&later) != sidecar_hash(&sidecars) && sidecar_hash(&later) != 0,
          "both sidecars");

    violations_init(&violations, 10);
    check(sidecar_agrees(&later, "a.csv", sha256, &violations) && violations.total == 0,
          "the checksum of the bytes");
    sha256[31] ^= 1;
    check(!sidecar_agrees(&later, "u/a.csv", sha256, &violations) && violations.total == 1 &&
              violations.counts[VIOLATION_CHECKSUM_MISMATCH] == 1,
          "the checksum of other bytes");
    violations_print(&violations, "a.csv", &said);
    check_text(buffer_text(&said),
               "a.csv: checksum-mismatch: the SHA-256 of the file is "
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b854, but a.csv.sha256 "
               "says " SUM ": one of them was cut or changed on its way; send both again\n",
               "the violation names both checksums");
    place_put_text(dir, "a.csv.sha256", "");
    check(sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_REGULAR &&
              !sidecars.each[SIDECAR_SHA256].there,
          "an empty checksum file is not there yet");
    place_put_text(dir, "a.csv.sha256", "soon");
    sidecar_read(dir, "a.csv", geteuid(), &sidecars);
    check(sidecars.each[SIDECAR_SHA256].there && !sidecars.has_sum &&
              !sidecar_agrees(&sidecars, "a.csv", sha256, &violations) && violations.total == 2,
          "a checksum file without a checksum");

    unlinkat(dir, "a.csv.sha256", 0);
    check(symlinkat("a.csv.done", dir, "a.csv.sha256") == 0 &&
              sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_OTHER,
          "a symbolic link is not opened");
    unlinkat(dir, "a.csv.sha256", 0);
    check(mkfifoat(dir, "a.csv.sha256", 0666) == 0 &&
              sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_OTHER,
          "a FIFO is not opened");
    unlinkat(dir, "a.csv.sha256", 0);
    check(mkdirat(dir, "a.csv.sha256", 0777) == 0 &&
              sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_DIRECTORY,
          "a directory is not opened");
    unlinkat(dir, "a.csv.sha256", AT_REMOVEDIR);
    place_put_text(dir, "key", SUM);
    check(fchmodat(dir, "key", 0600, 0) == 0 && linkat(dir, "key", dir, "a.csv.sha256", 0) == 0 &&
              sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_REGULAR &&
              !sidecars.each[SIDECAR_SHA256].there && sidecars.foreign && sidecars.linked,
          "a file with two names does not count");
    check(unlinkat(dir, "key", 0) == 0 &&
              sidecar_read(dir, "a.csv", geteuid(), &sidecars) == FILE_REGULAR &&
              sidecars.has_sum && !sidecars.foreign,
          "a file whose other name is gone counts");
    violations_free(&violations);
    buffer_free(&said);
}

int main(void)
{
    dir = place_enter();
    test_parse();
    test_names();
    test_read();
    close(dir);
    return unit_done();
}
