/* SPDX-License-Identifier: PostgreSQL
 *
 * Arbitrary bytes as a file of options. What was
 * accepted lies within the limits of the table, keeps its text apart from the input, and is
 * accepted again; a refusal names the file and leaves nothing to free.
 */
#include "fuzz.h"
#include "walrx/cli/config_file.h"
#include "walrx/stream/receiver.h"

#define NAME "fuzz.conf"

static void check_within_limits(const Options *options)
{
    for (size_t i = 0; i < option_spec_count; i++) {
        const OptionSpec *spec = &option_specs[i];
        if ((spec->commands & COMMAND_RECEIVE) == 0)
            continue; /* another command's default may mean that it was not given */
        const char *member = (const char *)options + spec->offset;
        if (spec->kind == OPTION_NUMBER || spec->kind == OPTION_SIZE ||
            spec->kind == OPTION_DURATION || spec->kind == OPTION_SECONDS) {
            uint64_t value = *(const uint64_t *)(const void *)member;
            bool not_given =
                spec->offset == offsetof(Options, min_free) && value == MIN_FREE_DEFAULT;
            require(not_given || (value >= spec->minimum && value <= spec->maximum));
        }
    }
    require(!options->help && !options->version && options->config == NULL);
    require(!options->create_slot && !options->drop_slot && !options->if_not_exists);
    require(!options->password || !options->no_password);
}

/* Reads text that borrowed from the file, so that ASan sees text that is gone. */
static size_t text_length(const Options *options)
{
    const char *texts[] = {options->dbname,    options->host, options->port,   options->username,
                           options->directory, options->slot, options->on_gap, options->log_format};
    size_t length = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        length += texts[i] != NULL ? strlen(texts[i]) : 0;
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    Options options;
    Options again;
    ConfigFile file;
    ConfigFile second;
    Error error;
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    options_init(&options);
    bool ok = config_file_parse(NAME, text, size, COMMAND_RECEIVE, &options, &file, &error);
    if (ok) {
        options_init(&again);
        require(config_file_parse(NAME, text, size, COMMAND_RECEIVE, &again, &second, &error));
        check_within_limits(&options);
    } else {
        require(error.class == ERROR_USAGE && strstr(error.message, NAME) != NULL);
        require(file.values == NULL);
    }
    free(text);
    if (ok) {
        require(text_length(&options) == text_length(&again));
        require(text_length(&options) <= size + strlen("stop") + strlen("text"));
        config_file_free(&second);
        config_file_free(&file);
    }
    return 0;
}
