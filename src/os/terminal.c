/* SPDX-License-Identifier: PostgreSQL
 *
 * See terminal.h.
 */
#include "walrx/os/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static bool read_line(FILE *in, char *buffer, size_t capacity, Error *err)
{
    if (fgets(buffer, (int)capacity, in) == NULL)
        return error_set(err, ERROR_OPERATOR, "could not read a password from the terminal");
    size_t length = strlen(buffer);
    if (length > 0 && buffer[length - 1] == '\n')
        buffer[--length] = '\0';
    else if (length + 1 == capacity)
        return error_set(err, ERROR_USAGE, "the password is longer than %zu characters",
                         capacity - 2);
    return true;
}

bool terminal_read_password(const char *prompt, char *buffer, size_t capacity, Error *err)
{
    FILE *tty = fopen("/dev/tty", "r+");
    FILE *in = tty != NULL ? tty : stdin;
    FILE *out = tty != NULL ? tty : stderr;
    struct termios before;
    bool has_echo = tcgetattr(fileno(in), &before) == 0;
    if (has_echo) {
        struct termios quiet = before;
        quiet.c_lflag &= (tcflag_t) ~(tcflag_t)ECHO;
        (void)tcsetattr(fileno(in), TCSAFLUSH, &quiet);
    }
    (void)fputs(prompt, out);
    (void)fflush(out);
    bool ok = read_line(in, buffer, capacity, err);
    if (has_echo) {
        (void)tcsetattr(fileno(in), TCSAFLUSH, &before);
        (void)fputs("\n", out);
        (void)fflush(out);
    }
    if (tty != NULL)
        (void)fclose(tty);
    return ok;
}
