#include "base/digest.h"

#include <inttypes.h>
#include <sys/wait.h>

#include "lib/place.h"
#include "lib/unit.h"

static void check_sha(const char *text, size_t times, const char *want)
{
    unsigned char sha[DIGEST_SIZE];
    struct digest digest;
    struct buffer hex = {0};

    digest_init(&digest);
    while (times-- > 0)
        digest_update(&digest, text, strlen(text));
    digest_final(&digest, sha);
    digest_hex(&hex, sha, sizeof sha);
    check_text(buffer_text(&hex), want, "SHA-256");
    buffer_free(&hex);
}

static void test_sha256(void)
{
    check_sha("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sha("aaaaaaaaaa", 100000,
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Hash in random pieces, with digest_final in between, and from copies of the state. */
static void test_pieces(void)
{
    unsigned char whole[DIGEST_SIZE], sha[DIGEST_SIZE], prefix[DIGEST_SIZE];
    struct digest digest, copy;
    char bytes[1000];
    size_t i, j, wrong = 0;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)place_random();
    digest_init(&digest);
    digest_update(&digest, bytes, sizeof bytes);
    digest_final(&digest, whole);
    for (i = 0; i <= sizeof bytes; i += 13) {
        digest_init(&digest);
        digest_update(&digest, bytes, i);
        digest_final(&digest, prefix);
        copy = digest;
        digest_update(&digest, bytes + i, sizeof bytes - i);
        digest_final(&digest, sha);
        wrong += memcmp(sha, whole, DIGEST_SIZE) != 0;
        digest_final(&copy, sha);
        wrong += memcmp(sha, prefix, DIGEST_SIZE) != 0;
        for (j = i; j < sizeof bytes; j++)
            digest_update(&copy, bytes + j, 1);
        digest_update(&copy, NULL, 0);
        digest_final(&copy, sha);
        wrong += memcmp(sha, whole, DIGEST_SIZE) != 0;
    }
    check(wrong == 0, "pieces and copies give the same hash: %zu wrong", wrong);
}

static void test_check(void)
{
    struct digest_stream *stream = digest_stream_new();
    char bytes[5000];
    size_t i, wrong = 0;

    check(digest_check("", 0) == UINT64_C(0x2d06800538d394c2), "XXH3-64 of nothing");
    check(digest_check("abc", 3) == UINT64_C(0x78af5f94892f3950), "XXH3-64 of abc: %016" PRIx64,
          digest_check("abc", 3));
    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)place_random();
    check(digest_stream_value(stream) == digest_check("", 0), "an empty stream");
    for (i = 0; i <= sizeof bytes; i += 17) {
        digest_stream_reset(stream);
        digest_stream_update(stream, bytes, i);
        digest_stream_value(stream);
        digest_stream_update(stream, NULL, 0);
        digest_stream_update(stream, bytes + i, sizeof bytes - i);
        wrong += digest_stream_value(stream) != digest_check(bytes, sizeof bytes);
    }
    check(wrong == 0, "a stream gives the same hash: %zu wrong", wrong);
    digest_stream_free(stream);
    digest_stream_free(NULL);
}

static void test_unhex(void)
{
    static const char good[] = "00ff09afA9";
    unsigned char out[4], byte;
    char digits[2];
    unsigned high, low;
    size_t wrong = 0;

    check(digest_unhex(out, good, 4) && memcmp(out, "\x00\xFF\x09\xAF", 4) == 0,
          "hex digits are read");
    check(!digest_unhex(out, good + 2, 4), "digits in upper case are refused");
    check(digest_unhex(out, "", 0), "no digits make no bytes");
    for (high = 0; high < 256; high++)
        for (low = 0; low < 256; low++) {
            bool valid = high != 0 && low != 0 && strchr("0123456789abcdef", (int)high) != NULL &&
                         strchr("0123456789abcdef", (int)low) != NULL;

            digits[0] = (char)high;
            digits[1] = (char)low;
            wrong += digest_unhex(&byte, digits, 1) != valid ||
                     (valid && strtoul((char[]){digits[0], digits[1], 0}, NULL, 16) != byte);
        }
    check(wrong == 0, "each pair of characters is read or refused rightly: %zu wrong", wrong);
}

/* Keys are equal within a process and differ in another one. */
static void test_keys(void)
{
    const char *program = "/proc/self/exe";
    struct digest_wide wide = digest_wide_key("eva", 3), again = digest_wide_key("eva", 3);
    char other[64] = "", ours[64];
    int pipes[2];
    pid_t child;

    check(digest_key("eva", 3) == digest_key("eva", 3) &&
              digest_key("eva", 3) != digest_key("eve", 3),
          "a key depends on the bytes");
    check(wide.high == again.high && wide.low == again.low && wide.high != wide.low,
          "so does a wide key");
    check(digest_key("eva", 3) != digest_check("eva", 3),
          "a key cannot be computed without the seed");
    snprintf(ours, sizeof ours, "%016" PRIx64, digest_key("eva", 3));
    if (pipe(pipes) < 0 || (child = fork()) < 0)
        abort();
    if (child == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execl(program, program, "key", (char *)NULL);
        _exit(1);
    }
    check(read(pipes[0], other, 16) == 16 && strcmp(ours, other) != 0,
          "another process has other keys");
    waitpid(child, NULL, 0);
    close(pipes[0]);
    close(pipes[1]);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "key") == 0) {
        printf("%016" PRIx64, digest_key("eva", 3));
        return 0;
    }
    test_sha256();
    test_pieces();
    test_check();
    test_unhex();
    test_keys();
    return unit_done();
}
