/* SPDX-License-Identifier: PostgreSQL
 *
 * --compress: every text below was given to pg_receivewal 15.18, which took or refused it just so,
 * except two: zstd is walrx's own, and a level beyond 64 bits wraps around to -1 there.
 */
#include "walrx/codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WRONG "invalid compression specification: "
#define EMPTY_ITEM WRONG "found empty string where a compression option was expected"
#define GZIP_LEVELS                                                                                \
    WRONG "compression algorithm \"gzip\" expects a compression level between 1 and 9 (default "   \
          "at -1)"
#define LZ4_LEVELS                                                                                 \
    WRONG "compression algorithm \"lz4\" expects a compression level between 1 and 12 (default "   \
          "at 0)"
#define ZSTD_LEVELS                                                                                \
    WRONG "compression algorithm \"zstd\" expects a compression level between 1 and 19 (default "  \
          "at 3)"
#define NONE_LEVEL WRONG "compression algorithm \"none\" does not accept a compression level"

static void good_specifications_are_read(void **state)
{
    static const struct {
        const char *text;
        CompressSpec spec;
    } good[] = {
        {"none", {WAL_RAW, 0}},
        {"none:0", {WAL_RAW, 0}},
        {"none:level=0", {WAL_RAW, 0}},
        {"0", {WAL_RAW, 0}},
        {"", {WAL_RAW, 0}},
        {"1", {WAL_GZIP, 1}},
        {"9", {WAL_GZIP, 9}},
        {"-1", {WAL_GZIP, 6}},
        {"+5", {WAL_GZIP, 5}},
        {"05", {WAL_GZIP, 5}},
        {" 5", {WAL_GZIP, 5}},
        {"gzip", {WAL_GZIP, 6}},
        {"gzip:1", {WAL_GZIP, 1}},
        {"gzip:-1", {WAL_GZIP, 6}},
        {"gzip:+3", {WAL_GZIP, 3}},
        {"gzip: 3", {WAL_GZIP, 3}},
        {"gzip:03", {WAL_GZIP, 3}},
        {"gzip:level=-1", {WAL_GZIP, 6}},
        {"gzip:level=9", {WAL_GZIP, 9}},
        {"gzip:level=9,level=3", {WAL_GZIP, 3}},
        {"lz4", {WAL_LZ4, 1}},
        {"lz4:0", {WAL_LZ4, 1}},
        {"lz4:1", {WAL_LZ4, 1}},
        {"lz4:level=12", {WAL_LZ4, 12}},
        {"zstd", {WAL_ZSTD, 3}},
        {"zstd:1", {WAL_ZSTD, 1}},
        {"zstd:level=19", {WAL_ZSTD, 19}},
    };
    CompressSpec spec;
    Error err;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        memset(&spec, 0xFF, sizeof(spec));
        assert_true(compress_spec_parse(good[i].text, &spec, &err));
        assert_int_equal(spec.method, good[i].spec.method);
        assert_int_equal(spec.level, good[i].spec.level);
    }
}

static void bad_specifications_get_the_words_of_pg_receivewal(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } bad[] = {
        {"gzip:0", GZIP_LEVELS},
        {"gzip:10", GZIP_LEVELS},
        {"gzip:-2", GZIP_LEVELS},
        {"10", GZIP_LEVELS},
        {"-2", GZIP_LEVELS},
        {"99999999999", GZIP_LEVELS},
        {"gzip:99999999999999", GZIP_LEVELS},
        {"gzip:99999999999999999999999", GZIP_LEVELS},
        {"gzip:level=10", GZIP_LEVELS},
        {"lz4:13", LZ4_LEVELS},
        {"lz4:level=13", LZ4_LEVELS},
        {"lz4:-1", LZ4_LEVELS},
        {"zstd:0", ZSTD_LEVELS},
        {"zstd:20", ZSTD_LEVELS},
        {"none:3", NONE_LEVEL},
        {"none:level=3", NONE_LEVEL},
        {"foo", "unrecognized compression algorithm: \"foo\""},
        {"GZIP", "unrecognized compression algorithm: \"GZIP\""},
        {"gzi", "unrecognized compression algorithm: \"gzi\""},
        {"gzipp", "unrecognized compression algorithm: \"gzipp\""},
        {"server-gzip", "unrecognized compression algorithm: \"server-gzip\""},
        {"client-gzip:3", "unrecognized compression algorithm: \"client-gzip\""},
        {":3", "unrecognized compression algorithm: \"\""},
        {"5x", "unrecognized compression algorithm: \"5x\""},
        {"  ", "unrecognized compression algorithm: \"  \""},
        {"5 ", "unrecognized compression algorithm: \"5 \""},
        {"gzip:", EMPTY_ITEM},
        {"none:", EMPTY_ITEM},
        {"gzip:level=3,", EMPTY_ITEM},
        {"gzip:,level=3", EMPTY_ITEM},
        {"gzip:=3", EMPTY_ITEM},
        {"gzip:level", WRONG "compression option \"level\" requires a value"},
        {"gzip:workers", WRONG "compression option \"workers\" requires a value"},
        {"gzip:level=", WRONG "value for compression option \"level\" must be an integer"},
        {"gzip:level=,level=3", WRONG "value for compression option \"level\" must be an integer"},
        {"gzip:level=x", WRONG "value for compression option \"level\" must be an integer"},
        {"gzip:level=3=4", WRONG "value for compression option \"level\" must be an integer"},
        {"gzip:level=3 ", WRONG "value for compression option \"level\" must be an integer"},
        {"gzip:workers=x", WRONG "value for compression option \"workers\" must be an integer"},
        {"gzip:foo=3", WRONG "unrecognized compression option: \"foo\""},
        {"gzip:foo", WRONG "unrecognized compression option: \"foo\""},
        {"gzip:long=1", WRONG "unrecognized compression option: \"long\""},
        {"gzip:9:3", WRONG "unrecognized compression option: \"9:3\""},
        {"gzip:1,2", WRONG "unrecognized compression option: \"1\""},
        {"gzip:Level=3", WRONG "unrecognized compression option: \"Level\""},
        {"lz4:1x", WRONG "unrecognized compression option: \"1x\""},
        {"none:foo=1", WRONG "unrecognized compression option: \"foo\""},
        {"gzip:workers=3", WRONG "compression algorithm \"gzip\" does not accept a worker count"},
        {"none:workers=3", WRONG "compression algorithm \"none\" does not accept a worker count"},
        {"zstd:workers=3", WRONG "compression algorithm \"zstd\" does not accept a worker count"},
        {"gzip:workers=3,level=10", GZIP_LEVELS},
    };
    Error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CompressSpec spec = {WAL_ZSTD, 77};
        assert_false(compress_spec_parse(bad[i].text, &spec, &err));
        assert_int_equal(err.class, ERROR_USAGE);
        assert_string_equal(err.message, bad[i].message);
        assert_int_equal(spec.level, 77);
    }
}

static void format_gives_method_and_level(void **state)
{
    char buffer[COMPRESS_SPEC_TEXT_SIZE];

    (void)state;
    assert_string_equal(compress_spec_format((CompressSpec){WAL_RAW, 0}, buffer), "none");
    assert_string_equal(compress_spec_format((CompressSpec){WAL_GZIP, 6}, buffer), "gzip:6");
    assert_string_equal(compress_spec_format((CompressSpec){WAL_LZ4, 12}, buffer), "lz4:12");
    assert_string_equal(compress_spec_format((CompressSpec){WAL_ZSTD, 19}, buffer), "zstd:19");
}

static void formatted_specifications_read_back(void **state)
{
    static const int last_levels[WAL_COMPRESSION_COUNT] = {0, 9, 12, 19};
    char buffer[COMPRESS_SPEC_TEXT_SIZE];
    CompressSpec back;
    Error err;

    (void)state;
    for (int method = WAL_GZIP; method < WAL_COMPRESSION_COUNT; method++) {
        for (int level = 1; level <= last_levels[method]; level++) {
            CompressSpec spec = {(WalCompression)method, level};
            assert_true(compress_spec_parse(compress_spec_format(spec, buffer), &back, &err));
            assert_int_equal(back.method, spec.method);
            assert_int_equal(back.level, spec.level);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_specifications_are_read),
        cmocka_unit_test(bad_specifications_get_the_words_of_pg_receivewal),
        cmocka_unit_test(format_gives_method_and_level),
        cmocka_unit_test(formatted_specifications_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
