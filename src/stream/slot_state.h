/* SPDX-License-Identifier: PostgreSQL
 *
 * The slot of a receiver: is it there, does it still keep WAL, and what to do where not. Private to
 * src/stream.
 */
#pragma once

#include "receiver_internal.h"

#include "walrx/archive/start.h"

/* Fills receiver->slot and slot_*; creates a slot that is missing where the options say so. */
bool slot_state_read(Receiver *receiver, Error *err) MUST_CHECK;

/* So that streaming from `start` on can use the slot: a lost one is made anew, used again or
 * refused. Where the archive is empty and the slot's position could not be read, *start moves to
 * the oldest WAL of the server. */
bool slot_state_settle(Receiver *receiver, StartPoint *start, Error *err) MUST_CHECK;

/* START_REPLICATION at `start` failed with *err. True: not for good, the slot was made anew. False:
 * *err, which may be another now. */
bool slot_state_mend(Receiver *receiver, const StartPoint *start, Error *err) MUST_CHECK;
