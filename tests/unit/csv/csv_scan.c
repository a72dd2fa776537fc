#include "csv/csv_scan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/place.h"
#include "lib/unit.h"

/* Compare both ways with a loop over each byte. The text ends at the end of its memory. */
static bool is_right(const char *bytes, size_t len)
{
    static uint16_t ends[SCAN_ENDS], plain[SCAN_ENDS];
    char *text = malloc(len + 1);
    size_t i, count = 0, found, found_plain;
    bool right = true;

    if (text == NULL)
        abort();
    memcpy(text + 1, bytes, len);
    found = csv_scan_ends(text + 1, len, ends);
    found_plain = csv_scan_ends_plain(text + 1, len, plain);
    for (i = 0; i < len && right; i++)
        if (bytes[i] == ',' || bytes[i] == '\n') {
            right = count < found && count < found_plain && ends[count] == i && plain[count] == i;
            count++;
        }
    free(text);
    return right && count == found && count == found_plain;
}

int main(void)
{
    static const char few[] = ",,,\n\n,0123456789.abc\"\r\x00-\x2B\x2D\x0B\x09\x8A\xAC\xFF";
    static char bytes[SCAN_SIZE];
    size_t i, len, wrong = 0, rounds = place_rounds(20000);

    for (i = 0; i < 256; i++)
        bytes[i] = (char)i;
    check(is_right(bytes, 256), "each byte");
    for (i = 0; i <= 200; i++) {
        memset(bytes, ',', i);
        wrong += !is_right(bytes, i);
        memset(bytes, 'x', i);
        wrong += !is_right(bytes, i);
        if (i > 0)
            bytes[i - 1] = '\n';
        wrong += !is_right(bytes, i);
    }
    check(wrong == 0, "each length, with all ends, none and the last");
    memset(bytes, ',', sizeof bytes);
    check(is_right(bytes, sizeof bytes), "as many as there can be");
    for (wrong = 0; rounds > 0; rounds--) {
        len = place_below(rounds % 50 == 0 ? sizeof bytes + 1 : 300);
        for (i = 0; i < len; i++)
            bytes[i] = rounds % 2 == 0 ? few[place_below(sizeof few)] : (char)place_below(256);
        wrong += !is_right(bytes, len);
    }
    check(wrong == 0, "at random");
    return unit_done();
}
