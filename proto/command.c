/* SPDX-License-Identifier: PostgreSQL
 *
 * Replication commands: written by one snprintf each, read by a small scanner (the tokens of
 * repl_scanner.l) and one function per rule of repl_gram.y, PostgreSQL 15. Unlike PostgreSQL,
 * identifiers too long for NAMEDATALEN are refused instead of cut, and keywords are accepted in any
 * case.
 */
#include "walrx/proto/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_LENGTH_MAX (SLOT_NAME_SIZE - 1)
#define QUOTED_NAME_SIZE                                                                           \
    (2 * SLOT_NAME_SIZE + 2) /* every character a quote, and the two around                        \
                              */

/* Slot names ------------------------------------------------------------------------------------
 */

static bool slot_name_error(Error *err, const char *name, const char *reason)
{
    (void)error_set(err, ERROR_USAGE, "replication slot name \"%.80s\" %s", name, reason);
    return error_hint(err, "Slot names are 1 to %d lower-case letters, digits and underscores.",
                      NAME_LENGTH_MAX);
}

bool slot_name_check(const char *name, Error *err)
{
    size_t length = strlen(name);

    if (length == 0)
        return slot_name_error(err, name, "is empty");
    if (length > NAME_LENGTH_MAX)
        return slot_name_error(err, name, "is too long");
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != length)
        return slot_name_error(err, name, "contains an invalid character");
    return true;
}

/* Writing ---------------------------------------------------------------------------------------
 */

static const char *quote_identifier(const char *name, char buffer[QUOTED_NAME_SIZE])
{
    size_t length = 0;

    buffer[length++] = '"';
    for (size_t i = 0; i < NAME_LENGTH_MAX && name[i] != '\0'; i++) {
        if (name[i] == '"')
            buffer[length++] = '"';
        buffer[length++] = name[i];
    }
    buffer[length++] = '"';
    buffer[length] = '\0';
    return buffer;
}

static bool PRINTF_LIKE(4, 5)
    print_command(char *buffer, size_t capacity, Error *err, const char *format, ...)
{
    char text[COMMAND_TEXT_SIZE];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof(text) || (size_t)length >= capacity)
        return error_set(err, ERROR_USAGE, "replication command does not fit %zu bytes", capacity);
    memcpy(buffer, text, (size_t)length + 1);
    return true;
}

static bool format_start(const ReplicationCommand *command, char *buffer, size_t capacity,
                         Error *err)
{
    char quoted[QUOTED_NAME_SIZE];
    char lsn[LSN_TEXT_SIZE];
    char timeline[sizeof(" TIMELINE 4294967295")] = "";
    bool with_slot = command->name[0] != '\0';

    if (command->timeline != 0)
        (void)snprintf(timeline, sizeof(timeline), " TIMELINE %" PRIu32, command->timeline);
    return print_command(buffer, capacity, err, "START_REPLICATION%s%s PHYSICAL %s%s",
                         with_slot ? " SLOT " : "",
                         with_slot ? quote_identifier(command->name, quoted) : "",
                         lsn_format(command->start, lsn), timeline);
}

/* The names a command must or may carry. */
static bool check_name(const ReplicationCommand *command, Error *err)
{
    switch (command->kind) {
    case COMMAND_SHOW:
        if (command->name[0] == '\0')
            return error_set(err, ERROR_USAGE, "no setting to show");
        if (memchr(command->name, '\0', sizeof(command->name)) == NULL)
            return error_set(err, ERROR_USAGE, "name of the setting to show is too long");
        return true;
    case COMMAND_START_PHYSICAL:
        return command->name[0] == '\0' || slot_name_check(command->name, err);
    case COMMAND_READ_SLOT:
    case COMMAND_CREATE_PHYSICAL_SLOT:
    case COMMAND_DROP_SLOT:
        return slot_name_check(command->name, err);
    case COMMAND_TIMELINE_HISTORY:
        if (command->timeline == 0)
            return error_set(err, ERROR_USAGE, "timeline 0 has no history");
        return true;
    case COMMAND_IDENTIFY_SYSTEM:
        return true;
    }
    return error_set(err, ERROR_USAGE, "unknown replication command");
}

bool command_format(const ReplicationCommand *command, char *buffer, size_t capacity, Error *err)
{
    char name[QUOTED_NAME_SIZE];

    if (!check_name(command, err))
        return false;
    (void)quote_identifier(command->name, name);
    switch (command->kind) {
    case COMMAND_IDENTIFY_SYSTEM:
        return print_command(buffer, capacity, err, "IDENTIFY_SYSTEM");
    case COMMAND_SHOW:
        return print_command(buffer, capacity, err, "SHOW %s", name);
    case COMMAND_READ_SLOT:
        return print_command(buffer, capacity, err, "READ_REPLICATION_SLOT %s", name);
    case COMMAND_TIMELINE_HISTORY:
        return print_command(buffer, capacity, err, "TIMELINE_HISTORY %" PRIu32, command->timeline);
    case COMMAND_START_PHYSICAL:
        return format_start(command, buffer, capacity, err);
    case COMMAND_CREATE_PHYSICAL_SLOT:
        return print_command(buffer, capacity, err, "CREATE_REPLICATION_SLOT %s%s PHYSICAL%s", name,
                             command->temporary ? " TEMPORARY" : "",
                             command->reserve_wal ? " RESERVE_WAL" : "");
    case COMMAND_DROP_SLOT:
        return print_command(buffer, capacity, err, "DROP_REPLICATION_SLOT %s%s", name,
                             command->wait ? " WAIT" : "");
    }
    return false;
}

/* Scanning --------------------------------------------------------------------------------------
 */

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_KEYWORD,    /* text: in upper case */
    TOKEN_IDENTIFIER, /* text: folded to lower case unless quoted */
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_LSN,
    TOKEN_CHARACTER,
    TOKEN_INVALID, /* unterminated, too long, out of range */
} TokenKind;

typedef struct Scanner {
    const char *cursor; /* behind the current token */
    TokenKind kind;
    char text[SLOT_NAME_SIZE];
    uint32_t number;
    Lsn lsn;
    char character;
} Scanner;

static const char *const KEYWORDS[] = {
    "BASE_BACKUP",
    "IDENTIFY_SYSTEM",
    "READ_REPLICATION_SLOT",
    "SHOW",
    "TIMELINE",
    "START_REPLICATION",
    "CREATE_REPLICATION_SLOT",
    "DROP_REPLICATION_SLOT",
    "TIMELINE_HISTORY",
    "PHYSICAL",
    "RESERVE_WAL",
    "LOGICAL",
    "SLOT",
    "TEMPORARY",
    "TWO_PHASE",
    "EXPORT_SNAPSHOT",
    "NOEXPORT_SNAPSHOT",
    "USE_SNAPSHOT",
    "WAIT",
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_identifier_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_identifier_part(char c)
{
    return is_identifier_start(c) || is_digit(c) || c == '$';
}

/* 'text' or "text", the mark doubled inside. */
static TokenKind scan_quoted(Scanner *scanner, TokenKind kind)
{
    char mark = *scanner->cursor++;
    size_t length = 0;

    for (;; scanner->cursor++) {
        char c = *scanner->cursor;

        if (c == '\0')
            return TOKEN_INVALID;
        if (c == mark && *++scanner->cursor != mark)
            break;
        if (length == NAME_LENGTH_MAX)
            return TOKEN_INVALID;
        scanner->text[length++] = c;
    }
    scanner->text[length] = '\0';
    /* An empty identifier is no name; an empty string is a string. */
    return length == 0 && kind == TOKEN_IDENTIFIER ? TOKEN_INVALID : kind;
}

static TokenKind scan_word(Scanner *scanner)
{
    size_t length = 0;

    for (; is_identifier_part(*scanner->cursor); scanner->cursor++) {
        char c = *scanner->cursor;

        if (length == NAME_LENGTH_MAX)
            return TOKEN_INVALID;
        scanner->text[length++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    scanner->text[length] = '\0';
    for (size_t i = 0; i < sizeof(KEYWORDS) / sizeof(KEYWORDS[0]); i++) {
        if (strcasecmp(scanner->text, KEYWORDS[i]) == 0) {
            memcpy(scanner->text, KEYWORDS[i], length + 1);
            return TOKEN_KEYWORD;
        }
    }
    return TOKEN_IDENTIFIER;
}

static TokenKind scan_number(Scanner *scanner)
{
    uint64_t value = 0;

    for (; is_digit(*scanner->cursor); scanner->cursor++) {
        value = value * 10 + (uint64_t)(*scanner->cursor - '0');
        if (value > UINT32_MAX)
            return TOKEN_INVALID;
    }
    scanner->number = (uint32_t)value;
    return TOKEN_NUMBER;
}

/* Hexadecimal digits around a slash win over a word or a number: they are the longer match. */
static size_t lsn_length(const char *text)
{
    size_t high = 0;
    size_t low = 0;

    while (is_hex(text[high]))
        high++;
    if (high == 0 || text[high] != '/')
        return 0;
    while (is_hex(text[high + 1 + low]))
        low++;
    return low == 0 ? 0 : high + 1 + low;
}

static TokenKind scan_lsn(Scanner *scanner, size_t length)
{
    char text[LSN_TEXT_SIZE];

    if (length >= sizeof(text))
        return TOKEN_INVALID;
    memcpy(text, scanner->cursor, length);
    text[length] = '\0';
    scanner->cursor += length;
    return lsn_parse(text, &scanner->lsn) ? TOKEN_LSN : TOKEN_INVALID;
}

static TokenKind scan_token(Scanner *scanner)
{
    while (is_space(*scanner->cursor))
        scanner->cursor++;

    char c = *scanner->cursor;
    size_t length = lsn_length(scanner->cursor);

    if (c == '\0')
        return TOKEN_END;
    if (length > 0)
        return scan_lsn(scanner, length);
    if (c == '"')
        return scan_quoted(scanner, TOKEN_IDENTIFIER);
    if (c == '\'')
        return scan_quoted(scanner, TOKEN_STRING);
    if (is_digit(c))
        return scan_number(scanner);
    if (is_identifier_start(c))
        return scan_word(scanner);
    scanner->character = c;
    scanner->cursor++;
    return TOKEN_CHARACTER;
}

static void next_token(Scanner *scanner)
{
    scanner->kind = scan_token(scanner);
}

/* Parsing ---------------------------------------------------------------------------------------
 */

/* The takers move on when the current token is what they ask for, and say whether it was. */

static bool take_keyword(Scanner *scanner, const char *keyword)
{
    if (scanner->kind != TOKEN_KEYWORD || strcmp(scanner->text, keyword) != 0)
        return false;
    next_token(scanner);
    return true;
}

static bool take_character(Scanner *scanner, char character)
{
    if (scanner->kind != TOKEN_CHARACTER || scanner->character != character)
        return false;
    next_token(scanner);
    return true;
}

static bool take_identifier(Scanner *scanner, char name[SLOT_NAME_SIZE])
{
    if (scanner->kind != TOKEN_IDENTIFIER)
        return false;
    memcpy(name, scanner->text, SLOT_NAME_SIZE);
    next_token(scanner);
    return true;
}

/* var_name: identifiers joined by dots. */
static bool take_name(Scanner *scanner, char name[SLOT_NAME_SIZE])
{
    if (!take_identifier(scanner, name))
        return false;
    while (take_character(scanner, '.')) {
        char part[SLOT_NAME_SIZE];
        size_t length = strlen(name);

        if (!take_identifier(scanner, part) || length + 1 + strlen(part) > NAME_LENGTH_MAX)
            return false;
        name[length] = '.';
        memcpy(name + length + 1, part, strlen(part) + 1);
    }
    return true;
}

static bool take_timeline(Scanner *scanner, Timeline *ret)
{
    if (scanner->kind != TOKEN_NUMBER || scanner->number == 0)
        return false;
    *ret = scanner->number;
    next_token(scanner);
    return true;
}

static bool parse_start(Scanner *scanner, ReplicationCommand *command)
{
    if (take_keyword(scanner, "SLOT") && !take_identifier(scanner, command->name))
        return false;
    (void)take_keyword(scanner, "PHYSICAL");
    if (scanner->kind != TOKEN_LSN)
        return false;
    command->start = scanner->lsn;
    next_token(scanner);
    return !take_keyword(scanner, "TIMELINE") || take_timeline(scanner, &command->timeline);
}

/* The value of a boolean option as defGetBoolean (define.c, PostgreSQL 15) reads it. */
static bool take_boolean(Scanner *scanner, bool *ret)
{
    if (scanner->kind == TOKEN_NUMBER && scanner->number <= 1) {
        *ret = scanner->number == 1;
    } else if (scanner->kind == TOKEN_IDENTIFIER || scanner->kind == TOKEN_STRING) {
        bool on = strcasecmp(scanner->text, "true") == 0 || strcasecmp(scanner->text, "on") == 0;
        bool off = strcasecmp(scanner->text, "false") == 0 || strcasecmp(scanner->text, "off") == 0;

        if (!on && !off)
            return false;
        *ret = on;
    } else {
        /* No value: the option's presence is its value. */
        *ret = true;
        return true;
    }
    next_token(scanner);
    return true;
}

/* RESERVE_WAL is the only option a physical slot may have (walsender.c,
 * parseCreateReplSlotOptions), and only once. */
static bool parse_create_options(Scanner *scanner, ReplicationCommand *command)
{
    if (!take_character(scanner, '(')) {
        command->reserve_wal = take_keyword(scanner, "RESERVE_WAL");
        return true;
    }
    bool named = (scanner->kind == TOKEN_KEYWORD && strcmp(scanner->text, "RESERVE_WAL") == 0) ||
                 (scanner->kind == TOKEN_IDENTIFIER && strcmp(scanner->text, "reserve_wal") == 0);

    if (!named)
        return false;
    next_token(scanner);
    return take_boolean(scanner, &command->reserve_wal) && take_character(scanner, ')');
}

static bool parse_create(Scanner *scanner, ReplicationCommand *command)
{
    if (!take_identifier(scanner, command->name))
        return false;
    command->temporary = take_keyword(scanner, "TEMPORARY");
    return take_keyword(scanner, "PHYSICAL") && parse_create_options(scanner, command);
}

static bool parse_body(Scanner *scanner, ReplicationCommand *command)
{
    if (take_keyword(scanner, "IDENTIFY_SYSTEM")) {
        command->kind = COMMAND_IDENTIFY_SYSTEM;
        return true;
    }
    if (take_keyword(scanner, "SHOW")) {
        command->kind = COMMAND_SHOW;
        return take_name(scanner, command->name);
    }
    if (take_keyword(scanner, "READ_REPLICATION_SLOT")) {
        command->kind = COMMAND_READ_SLOT;
        return take_name(scanner, command->name);
    }
    if (take_keyword(scanner, "TIMELINE_HISTORY")) {
        command->kind = COMMAND_TIMELINE_HISTORY;
        return take_timeline(scanner, &command->timeline);
    }
    if (take_keyword(scanner, "START_REPLICATION")) {
        command->kind = COMMAND_START_PHYSICAL;
        return parse_start(scanner, command);
    }
    if (take_keyword(scanner, "CREATE_REPLICATION_SLOT")) {
        command->kind = COMMAND_CREATE_PHYSICAL_SLOT;
        return parse_create(scanner, command);
    }
    if (take_keyword(scanner, "DROP_REPLICATION_SLOT")) {
        command->kind = COMMAND_DROP_SLOT;
        if (!take_identifier(scanner, command->name))
            return false;
        command->wait = take_keyword(scanner, "WAIT");
        return true;
    }
    return false;
}

bool command_parse(const char *text, ReplicationCommand *ret, Error *err)
{
    Scanner scanner = {.cursor = text};
    ReplicationCommand command = {.kind = COMMAND_IDENTIFY_SYSTEM};

    next_token(&scanner);
    bool valid = parse_body(&scanner, &command);

    if (valid) {
        (void)take_character(&scanner, ';');
        valid = scanner.kind == TOKEN_END;
    }
    if (!valid) {
        (void)error_set(err, ERROR_PROTOCOL, "syntax error in replication command");
        return error_detail(err, "It was read up to character %zu.",
                            (size_t)(scanner.cursor - text));
    }
    *ret = command;
    return true;
}
