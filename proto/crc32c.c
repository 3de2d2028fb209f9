/* SPDX-License-Identifier: PostgreSQL
 *
 * CRC-32C, eight bytes at a time: by the crc32 instruction of SSE4.2 where the processor has it, by
 * slicing-by-8 elsewhere.
 *
 * The table needs no start-up: a CRC is linear over XOR, so the entry of byte n is the XOR of the
 * entries of n's bits. The source holds only those eight per slice, the compiler makes the 256. Row
 * k is row k-1 followed by one zero byte; row 0 is the definition, bit by bit. The unit test checks
 * the table against that definition.
 */
#include "walrx/proto/crc32c.h"

#include <string.h>

#define SLICES 8

#define BIT(n, i, basis) (((n) >> (i)) & 1 ? (basis) : 0U)
#define ENTRY(n, b0, b1, b2, b3, b4, b5, b6, b7)                                                   \
    (BIT(n, 0, b0) ^ BIT(n, 1, b1) ^ BIT(n, 2, b2) ^ BIT(n, 3, b3) ^ BIT(n, 4, b4) ^               \
     BIT(n, 5, b5) ^ BIT(n, 6, b6) ^ BIT(n, 7, b7))
#define ENTRIES_4(n, ...)                                                                          \
    ENTRY(n, __VA_ARGS__), ENTRY((n) + 1, __VA_ARGS__), ENTRY((n) + 2, __VA_ARGS__),               \
        ENTRY((n) + 3, __VA_ARGS__)
#define ENTRIES_16(n, ...)                                                                         \
    ENTRIES_4(n, __VA_ARGS__), ENTRIES_4((n) + 4, __VA_ARGS__), ENTRIES_4((n) + 8, __VA_ARGS__),   \
        ENTRIES_4((n) + 12, __VA_ARGS__)
#define ENTRIES_64(n, ...)                                                                         \
    ENTRIES_16(n, __VA_ARGS__), ENTRIES_16((n) + 16, __VA_ARGS__),                                 \
        ENTRIES_16((n) + 32, __VA_ARGS__), ENTRIES_16((n) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {                                                                                              \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__),     \
            ENTRIES_64(192, __VA_ARGS__)                                                           \
    }

static const uint32_t TABLES[SLICES][256] = {
    TABLE(0xF26B8303U, 0xE13B70F7U, 0xC79A971FU, 0x8AD958CFU, 0x105EC76FU, 0x20BD8EDEU, 0x417B1DBCU,
          0x82F63B78U),
    TABLE(0x13A29877U, 0x274530EEU, 0x4E8A61DCU, 0x9D14C3B8U, 0x3FC5F181U, 0x7F8BE302U, 0xFF17C604U,
          0xFBC3FAF9U),
    TABLE(0xA541927EU, 0x4F6F520DU, 0x9EDEA41AU, 0x38513EC5U, 0x70A27D8AU, 0xE144FB14U, 0xC76580D9U,
          0x8B277743U),
    TABLE(0xDD45AAB8U, 0xBF672381U, 0x7B2231F3U, 0xF64463E6U, 0xE964B13DU, 0xD725148BU, 0xABA65FE7U,
          0x52A0C93FU),
    TABLE(0x38116FACU, 0x7022DF58U, 0xE045BEB0U, 0xC5670B91U, 0x8F2261D3U, 0x1BA8B557U, 0x37516AAEU,
          0x6EA2D55CU),
    TABLE(0xEF306B19U, 0xDB8CA0C3U, 0xB2F53777U, 0x6006181FU, 0xC00C303EU, 0x85F4168DU, 0x0E045BEBU,
          0x1C08B7D6U),
    TABLE(0x68032CC8U, 0xD0065990U, 0xA5E0C5D1U, 0x4E2DFD53U, 0x9C5BFAA6U, 0x3D5B83BDU, 0x7AB7077AU,
          0xF56E0EF4U),
    TABLE(0x493C7D27U, 0x9278FA4EU, 0x211D826DU, 0x423B04DAU, 0x847609B4U, 0x0D006599U, 0x1A00CB32U,
          0x34019664U),
};

static uint32_t load_u32_le(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

uint32_t crc32c_update_table(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (; length >= SLICES; bytes += SLICES, length -= SLICES) {
        uint32_t low = load_u32_le(bytes) ^ crc;
        uint32_t high = load_u32_le(bytes + 4);

        crc = TABLES[7][low & 0xFF] ^ TABLES[6][(low >> 8) & 0xFF] ^ TABLES[5][(low >> 16) & 0xFF] ^
              TABLES[4][low >> 24] ^ TABLES[3][high & 0xFF] ^ TABLES[2][(high >> 8) & 0xFF] ^
              TABLES[1][(high >> 16) & 0xFF] ^ TABLES[0][high >> 24];
    }
    for (; length > 0; bytes++, length--)
        crc = (crc >> 8) ^ TABLES[0][(crc ^ *bytes) & 0xFF];
    return crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t crc, const uint8_t *bytes,
                                                               size_t length)
{
    uint64_t wide = crc;

    for (; length >= sizeof(uint64_t); bytes += sizeof(uint64_t), length -= sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, bytes, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    if (length >= sizeof(uint32_t)) {
        uint32_t word;

        memcpy(&word, bytes, sizeof(word));
        crc = _mm_crc32_u32(crc, word);
        bytes += sizeof(word);
        length -= sizeof(word);
    }
    for (; length > 0; bytes++, length--)
        crc = _mm_crc32_u8(crc, *bytes);
    return crc;
}

uint32_t crc32c_update(uint32_t crc, const void *data, size_t length)
{
    /* libgcc asked the processor before main began: this is a test of one word. */
    if (__builtin_cpu_supports("sse4.2"))
        return update_sse42(crc, data, length);
    return crc32c_update_table(crc, data, length);
}

#else

uint32_t crc32c_update(uint32_t crc, const void *data, size_t length)
{
    return crc32c_update_table(crc, data, length);
}

#endif

uint32_t crc32c_final(uint32_t crc)
{
    return crc ^ 0xFFFFFFFFU;
}
