/* SPDX-License-Identifier: MIT */
/*
 * net/tls.h without cryptography: a handshake takes the server's time and ends as the server wants;
 * records are bytes as they are.
 */
#pragma once

#include "net/tls.h"

struct tls_context *sim_tls_context_new(void);
/* Contexts that somebody holds. */
unsigned sim_tls_contexts(void);
