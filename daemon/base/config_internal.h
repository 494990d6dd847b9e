/* SPDX-License-Identifier: MIT */
/*
 * Between the config_*.c files only.
 */
#pragma once

#include "base/config.h"

/* The check functions of the table; see config_key::check. */
const char *config_check_path(const char *text);
const char *config_check_field_value(const char *text);
const char *config_check_address(const char *text);
const char *config_check_host(const char *text);
const char *config_check_error_status(const char *text);

/* The key, NULL if there is none of this name. `name` NULL: any key of the section. */
const struct config_key *config_find(const char *section, const char *name);

/* Where `key` lives in `config`. */
void *config_field(struct config *config, const struct config_key *key);

/* Replaces the error's text; control characters become '?'. */
__attribute__((format(printf, 2, 3))) void config_error_set(struct config_error *error,
							    const char *format, ...);
