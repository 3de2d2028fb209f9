/* SPDX-License-Identifier: PostgreSQL
 *
 * LSNs as text and in sums. The reader goes digit by digit instead of through scanf or strtoul,
 * which would accept blanks, signs, "0x" and overflow.
 */
#include "walrx/proto/lsn.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#define HALF_DIGITS_MAX 8

const char *lsn_format(Lsn lsn, char buffer[LSN_TEXT_SIZE])
{
    (void)snprintf(buffer, LSN_TEXT_SIZE, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32),
                   (uint32_t)lsn);
    return buffer;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Reads one half and returns the text behind it, NULL when it is not one to eight digits. */
static const char *read_half(const char *text, uint32_t *ret)
{
    uint32_t value = 0;
    size_t digits = 0;

    for (int digit = hex_digit(*text); digit >= 0; digit = hex_digit(*++text)) {
        if (++digits > HALF_DIGITS_MAX)
            return NULL;
        value = (value << 4) | (uint32_t)digit;
    }
    if (digits == 0)
        return NULL;
    *ret = value;
    return text;
}

bool lsn_parse(const char *text, Lsn *ret)
{
    uint32_t high = 0;
    uint32_t low = 0;

    text = read_half(text, &high);
    if (text == NULL || *text != '/')
        return false;
    text = read_half(text + 1, &low);
    if (text == NULL || *text != '\0')
        return false;
    *ret = ((Lsn)high << 32) | low;
    return true;
}

bool lsn_add(Lsn lsn, uint64_t bytes, Lsn *ret)
{
    if (bytes > UINT64_MAX - lsn)
        return false;
    *ret = lsn + bytes;
    return true;
}
