#include "fs/csv_name.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/unit.h"

static void test_names(void)
{
    static const char *const good[] = {"a.csv",    "A.CSV",     "x.CsV",        "a..csv",
                                       " .csv",    "\n.csv",    "\xFF.csv",     "a.csv.csv",
                                       "-rf.csv",  "%.csv",     "a/b.csv",      "a.csv/b.csv",
                                       "a.csv.gz", "A.CSV.ZST", "a.csv.csv.Gz", "a/b.csv.zst"};
    static const char *const bad[] = {"",         ".",          "..",         ".csv",
                                      ".a.csv",   "a.csv~",     "a.csv.part", "a.csv.filepart",
                                      "acsv",     "csv",        "a.cs",       ".a.csv.XXXXXX",
                                      "a.csv ",   "sedXXXXXX",  "a.csv.bz2",  "..csv",
                                      ".a/b.csv", "a/.b/c.csv", "a/.b.csv",   "a.csv/",
                                      ".csv.gz",  "a/.csv.zst", "a.gz",       "a.csv.gz.zst",
                                      "a.csvgz",  "csv.gz"};
    static const char *const good_directories[] = {"a", "a/b", "a.csv", "a./b.", "a/lost+found/b"};
    static const char *const bad_directories[] = {".a", "a/.b", ".a/b", "lost+found",
                                                  "a/lost+found"};
    size_t i;

    for (i = 0; i < sizeof good_directories / sizeof *good_directories; i++)
        check(csv_name_is_scanned_directory(good_directories[i]), "the directory '%s' is scanned",
              good_directories[i]);
    for (i = 0; i < sizeof bad_directories / sizeof *bad_directories; i++)
        check(!csv_name_is_scanned_directory(bad_directories[i]),
              "the directory '%s' is not scanned", bad_directories[i]);
    for (i = 0; i < sizeof good / sizeof *good; i++)
        check(csv_name_is_accepted(good[i]), "'%s' is accepted", good[i]);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!csv_name_is_accepted(bad[i]), "'%s' is not accepted", bad[i]);
}

static void test_suffixes(void)
{
    static const struct {
        const char *name, *suffix, *csv;
    } table[] = {
        {"a.csv", ".csv", "a.csv"},
        {"a.CSV", ".CSV", "a.CSV"},
        {"a.csv.gz", ".csv.gz", "a.csv"},
        {"b/a.csv.csv.zst", ".csv.zst", "b/a.csv.csv"},
        {"A.Csv.ZST", ".Csv.ZST", "A.Csv"},
        {"a.txt", "", "a.txt"},
        {"a.gz", "", "a.gz"},
        {".csv.gz", "", ".csv.gz"},
        {"", "", ""},
    };
    char csv[32];
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        check_text(csv_name_suffix(table[i].name), table[i].suffix, "the suffix");
        snprintf(csv, sizeof csv, "%.*s", (int)csv_name_length(table[i].name), table[i].name);
        check_text(csv, table[i].csv, "the name of the CSV inside");
    }
}

static void test_paths(void)
{
    static const char *const table[][3] = {
        /* directory, path, result */
        {"/etc", "data", "/etc/data"},
        {"/etc", "./data", "/etc/data"},
        {"/etc", "../data", "/data"},
        {"/a/etc", "../data", "/a/data"},
        {"/a/etc", "..", "/a"},
        {"/a/etc", ".", "/a/etc"},
        {"/a/etc", "", "/a/etc"},
        {"/a/etc", "..//./../x/../y", "/x/../y"},
        {"/a/etc", "/a/../b", "/a/../b"},
        {"/a/etc", "../../../../x", "/x"},
        {"/a/etc", "../../..", "/"},
        {"/a/etc/", "x", "/a/etc/x"},
        {"/", "x", "/x"},
        {"/", ".", "/"},
        {"/a", "..x", "/a/..x"},
        {"/a", "...", "/a/..."},
        {"/a", "a b/", "/a/a b/"},
    };
    char *got;
    size_t i;

    for (i = 0; i < sizeof table / sizeof *table; i++) {
        got = path_normalize(table[i][0], table[i][1]);
        check_text(got, table[i][2], table[i][1]);
        free(got);
    }
    check_text(path_base("a/b/c.csv"), "c.csv", "the base of a path");
    check_text(path_base("c.csv"), "c.csv", "a path without directories is its own base");
    check(!path_is_hidden("a/b.c") && path_is_hidden(".a/b") && path_is_hidden("a/.b"),
          "a path with a part that begins with a dot is hidden");
}

int main(void)
{
    test_names();
    test_suffixes();
    test_paths();
    return unit_done();
}
