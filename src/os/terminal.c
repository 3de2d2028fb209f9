/* SPDX-License-Identifier: PostgreSQL
 *
 * See terminal.h. The line is read byte by byte between polls, so that a signal ends the waiting;
 * the terminal gets its echo back on every way out.
 */
#include "walrx/os/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int open_terminal(void)
{
    return open("/dev/tty", O_RDWR | O_CLOEXEC);
}

bool terminal_is_there(void)
{
    int tty = open_terminal();
    if (tty < 0)
        return isatty(STDIN_FILENO) != 0;
    (void)close(tty);
    return true;
}

bool terminal_shows(TerminalSize *ret)
{
    struct winsize size;
    if (isatty(STDOUT_FILENO) == 0)
        return false;
    *ret = (TerminalSize){.columns = 80, .rows = 24};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0)
        *ret = (TerminalSize){.columns = size.ws_col, .rows = size.ws_row};
    return true;
}

static bool wait_for_byte(int fd, int cancel_fd, Error *err)
{
    struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
    int n;
    do {
        n = poll(polled, 2, -1);
    } while (n < 0 && errno == EINTR);
    if (polled[1].revents != 0)
        return error_set(err, ERROR_STOPPED, "stopped while waiting for a password");
    return true;
}

static bool read_line(int fd, int cancel_fd, char *buffer, size_t capacity, Error *err)
{
    size_t length = 0;
    for (;;) {
        char byte;
        if (!wait_for_byte(fd, cancel_fd, err))
            return false;
        ssize_t n = read(fd, &byte, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0 && length == 0)
            return error_set(err, ERROR_OPERATOR, "there is nobody to ask for a password");
        if (n <= 0 || byte == '\n')
            break;
        if (length + 1 == capacity)
            return error_set(err, ERROR_USAGE, "the password is longer than %zu characters",
                             capacity - 1);
        buffer[length++] = byte;
    }
    buffer[length] = '\0';
    return true;
}

static void say(int fd, const char *text)
{
    (void)!write(fd, text, strlen(text)); /* a prompt nobody sees changes nothing */
}

bool terminal_read_password(const char *prompt, int cancel_fd, char *buffer, size_t capacity,
                            Error *err)
{
    int tty = open_terminal();
    int in = tty >= 0 ? tty : STDIN_FILENO;
    int out = tty >= 0 ? tty : STDERR_FILENO;
    struct termios before;
    bool has_echo = tcgetattr(in, &before) == 0;
    if (has_echo) {
        struct termios quiet = before;
        quiet.c_lflag &= (tcflag_t) ~(tcflag_t)ECHO;
        (void)tcsetattr(in, TCSAFLUSH, &quiet);
    }
    say(out, prompt);
    bool ok = read_line(in, cancel_fd, buffer, capacity, err);
    if (has_echo) {
        (void)tcsetattr(in, TCSAFLUSH, &before);
        say(out, "\n");
    }
    if (tty >= 0)
        (void)close(tty);
    return ok;
}
