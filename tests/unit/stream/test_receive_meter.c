/* SPDX-License-Identifier: PostgreSQL
 *
 * The limit counts, ends, and binds libpq: a library that read its sockets in another way would
 * pass it by.
 */
#include "../../../src/stream/receive_meter.h"

#include <errno.h>
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void bytes_are_read_up_to_the_limit(void **state)
{
    ReceiveMeter meter = {.received = 0};
    char buffer[100];
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(send(pair[0], buffer, 60, 0), 60);
    receive_meter_allow(&meter, 50);
    receive_meter_use(&meter);
    assert_int_equal(recv(pair[1], buffer, 20, 0), 20);
    assert_false(receive_meter_used_up(&meter));
    assert_int_equal(recv(pair[1], buffer, 100, 0), 30);
    assert_true(receive_meter_used_up(&meter));
    errno = 0;
    assert_int_equal(recv(pair[1], buffer, 100, 0), -1);
    assert_int_equal(errno, EAGAIN);
    receive_meter_allow(&meter, 4);
    assert_int_equal(recv(pair[1], buffer, 100, 0), 4);
    receive_meter_use(NULL);
    assert_int_equal(recv(pair[1], buffer, 100, 0), 6);
    assert_int_equal(meter.received, 54);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* A connection to a listening socket of ours whose other end has sent an error. */
static PGconn *refused_connection(const char *folder, int *ret_peer)
{
    static const char refusal[] = "E\0\0\0\x1cSFATAL\0C28000\0Mgo away\0";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char conninfo[256];
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", folder);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    (void)snprintf(conninfo, sizeof(conninfo),
                   "host=%s port=5432 user=x sslmode=disable gssencmode=disable", folder);
    PGconn *pg = PQconnectStart(conninfo);
    assert_int_not_equal(PQstatus(pg), CONNECTION_BAD);
    *ret_peer = accept(listener, NULL, NULL);
    assert_true(*ret_peer >= 0);
    assert_int_equal(send(*ret_peer, refusal, sizeof(refusal), 0), sizeof(refusal));
    (void)close(listener);
    (void)unlink(address.sun_path);
    return pg;
}

static void libpq_is_bound_by_it(void **state)
{
    ReceiveMeter meter = {.received = 0};
    char folder[] = "/tmp/walrx-meter-XXXXXX";
    int peer;
    (void)state;
    assert_non_null(mkdtemp(folder));
    PGconn *pg = refused_connection(folder, &peer);
    receive_meter_use(&meter);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(PQconnectPoll(pg), PGRES_POLLING_FAILED); /* seems silent */
    receive_meter_allow(&meter, 1000);
    PostgresPollingStatusType polled = PGRES_POLLING_READING;
    for (int i = 0; i < 10 && polled != PGRES_POLLING_FAILED; i++)
        polled = PQconnectPoll(pg);
    receive_meter_use(NULL);
    assert_int_equal(polled, PGRES_POLLING_FAILED);
    assert_non_null(strstr(PQerrorMessage(pg), "go away"));
    assert_int_equal(meter.received, 1 + 0x1c);
    PQfinish(pg);
    (void)close(peer);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_read_up_to_the_limit),
        cmocka_unit_test(libpq_is_bound_by_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
