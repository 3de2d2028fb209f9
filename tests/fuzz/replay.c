/* SPDX-License-Identifier: PostgreSQL
 *
 * Runs a fuzz target over files, without any fuzz engine: each argument is a file or a folder of
 * files. So the corpora are regression tests of every build. A property that does not hold aborts;
 * the name of the file is printed before it runs.
 */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES ((size_t)1 << 20)
#define PATH_MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    static uint8_t input[INPUT_MAX_BYTES];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        (void)fprintf(stderr, "could not open \"%s\": %s\n", path, strerror(errno));
        return -1;
    }
    size_t length = fread(input, 1, sizeof(input), file);
    int failed = ferror(file);

    (void)fclose(file);
    if (failed != 0) {
        (void)fprintf(stderr, "could not read \"%s\"\n", path);
        return -1;
    }
    /* A block of its own size, so that a read beyond its end is seen by AddressSanitizer. */
    uint8_t *copy = malloc(length > 0 ? length : 1);

    if (copy == NULL)
        return -1;
    memcpy(copy, input, length);
    printf("%s: %zu bytes\n", path, length);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(copy, length);
    free(copy);
    return 1;
}

/* How many inputs ran, -1 when one could not be read. */
static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;

    if (folder == NULL) {
        (void)fprintf(stderr, "could not open folder \"%s\": %s\n", path, strerror(errno));
        return -1;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[PATH_MAX_BYTES];
        int length = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);

        if (entry->d_name[0] == '.')
            continue;
        if (length < 0 || (size_t)length >= sizeof(name) || run_file(name) < 0) {
            count = -1;
            break;
        }
        count++;
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat status;
        int count = -1;

        if (stat(argv[i], &status) != 0)
            (void)fprintf(stderr, "could not find \"%s\": %s\n", argv[i], strerror(errno));
        else
            count = S_ISDIR(status.st_mode) ? run_folder(argv[i]) : run_file(argv[i]);
        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d inputs\n", total);
    if (total == 0) {
        (void)fprintf(stderr, "no input: a corpus of nothing proves nothing\n");
        return 1;
    }
    return 0;
}
