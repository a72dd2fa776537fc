#include "store/training_header.h"

#include "lib/place.h"
#include "lib/unit.h"

#define HEADER "t,\"v,w\",user_id\n"

static int dir;
static struct schema schema;
static struct training_header header;
static struct cause cause;

/* Read the header of a file of these bytes. */
static int read_bytes(const char *bytes, size_t len)
{
    int fd, result;

    place_put(dir, "file", bytes, len);
    fd = openat(dir, "file", O_RDONLY | O_CLOEXEC);
    cause = (struct cause){0};
    result = training_header_read(&header, fd, &schema, "data", &cause);
    close(fd);
    return result;
}

static int is_torn(const char *bytes, size_t len)
{
    int fd, result;

    place_put(dir, "file", bytes, len);
    fd = openat(dir, "file", O_RDONLY | O_CLOEXEC);
    result = training_header_is_torn(fd, len, &schema, &cause);
    close(fd);
    return result;
}

static void test_print(void)
{
    struct buffer out = {0};

    check(training_header_print(&schema, &out, &cause) == 0 &&
              strcmp(buffer_text(&out), HEADER) == 0,
          "the header is the schema's fields, quoted where they must be");
    buffer_free(&out);
}

static void test_read(void)
{
    static const char own[] = "\xEF\xBB\xBFuser_id,extra,\"v,w\"\r\n1,2,3\n";

    check(read_bytes(own, strlen(own)) == 0 && header.columns.count == 3 &&
              header.columns.fields[0] == 2 && header.columns.fields[1] == -1 &&
              header.columns.fields[2] == 1,
          "the columns are those of the file, in its order");
    check(header.tally_column[TALLY_USERS] == 0 && header.tally_column[TALLY_PHASES] == 3,
          "a counted field has its column, or none");
    check(read_bytes(HEADER, strlen(HEADER)) == 0 && header.columns.count == 3 &&
              header.tally_column[TALLY_USERS] == 2,
          "another file has other columns");
    check(read_bytes("t,user_id\n", 10) < 0 && cause.kind == CAUSE_CONFIG &&
              strstr(cause.text, "'v,w'") != NULL,
          "a required field must be there");
    check(read_bytes("", 0) < 0 && cause.kind == CAUSE_CORRUPT, "an empty file has no header");
    check(read_bytes("t,\"v\n", 5) < 0 && cause.kind == CAUSE_CORRUPT, "nor has an open quote");
    training_header_free(&header);
}

static void test_torn(void)
{
    const size_t len = strlen(HEADER);
    char bytes[64];
    size_t i, wrong = 0;

    for (i = 0; i < len; i++) {
        memcpy(bytes, HEADER, len);
        wrong += is_torn(bytes, i) != 1;
        memset(bytes + i, 0, len - i);
        wrong += is_torn(bytes, len) != 1;
        memcpy(bytes, HEADER, len);
        bytes[i] = 'X';
        wrong += is_torn(bytes, len) != 0 || is_torn(bytes, i + 1) != 0;
    }
    check(wrong == 0, "short, with NULs, or with another byte: %zu wrong", wrong);
    check(is_torn(HEADER, len) == 0, "a whole header is not torn");
    check(is_torn(HEADER "1,2,3\n", len + 6) == 0, "nor is a file with rows");
}

int main(void)
{
    char path[64];

    dir = place_enter();
    place_put_text(dir, "schema.ini",
                   "[field.1]\nname = t\n[field.2]\nname = v,w\nrequired = true\n"
                   "[field.3]\nname = user_id\n");
    snprintf(path, sizeof path, "%s/schema.ini", place);
    if (dir < 0 || schema_load(&schema, path, &cause) < 0) {
        printf("Bail out! %s\n", cause.text);
        return 1;
    }
    test_print();
    test_read();
    test_torn();
    schema_free(&schema);
    close(dir);
    return unit_done();
}
