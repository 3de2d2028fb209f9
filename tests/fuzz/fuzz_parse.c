/* SPDX-License-Identifier: PostgreSQL
 *
 * What people write, over arbitrary bytes: nothing crashes, a refusal changes nothing, and a value
 * that was accepted survives formatting and reading again.
 */
#include "walrx/base/parse.h"
#include "walrx/codec/codec.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE 256
#define UNTOUCHED UINT64_C(0x5A5A5A5A5A5A5A5A)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_numbers(const char *text)
{
    char buffer[PARSE_TEXT_SIZE];
    uint64_t value = UNTOUCHED;
    uint64_t back;

    if (parse_u64(text, 10, 1000, &value))
        require(value >= 10 && value <= 1000);
    else
        require(value == UNTOUCHED);
    if (parse_size(text, 1, &value))
        require(parse_size(format_size(value, buffer), 1, &back) && back == value);
    value = UNTOUCHED;
    if (parse_duration(text, 1, &value))
        require(parse_duration(format_duration(value, buffer), 1, &back) && back == value);
    else
        require(value == UNTOUCHED);
}

static void check_words(const char *text)
{
    char buffer[COMPRESS_SPEC_TEXT_SIZE];
    CompressSpec spec;
    CompressSpec back;
    Error err;
    bool word;

    if (parse_bool(text, &word))
        require(strlen(text) <= strlen("false"));
    if (compress_spec_parse(text, &spec, &err)) {
        require(compress_spec_parse(compress_spec_format(spec, buffer), &back, &err));
        require(back.method == spec.method && back.level == spec.level);
    } else {
        require(err.class == ERROR_USAGE && err.message[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    size_t length = size < TEXT_SIZE - 1 ? size : TEXT_SIZE - 1;

    if (length > 0)
        memcpy(text, data, length);
    text[length] = '\0';
    check_numbers(text);
    check_words(text);
    return 0;
}
