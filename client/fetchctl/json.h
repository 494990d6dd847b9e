/* SPDX-License-Identifier: MIT */
/*
 * What the verbs print with --json. The only includer of jansson besides the verbs that build
 * objects with it.
 */
#pragma once

#include <fetchd/fetchd.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text or octets as a JSON string: as they are if they are UTF-8, else each octet as the character
 * of that number (Latin-1). NULL without memory. */
json_t *json_octets(const char *data, size_t length);
json_t *json_text(const char *text);
/* A count; JSON numbers here go up to 2^63-1, more is cut to that. */
json_t *json_count(uint64_t number);

/* Header fields as an array of [name, value]. */
json_t *json_fields(const struct fetchd_field *fields, size_t count);
json_t *json_head(const struct fetchd_head *head);
json_t *json_progress(const struct fetchd_progress *progress);
json_t *json_closed(const struct fetchd_closed *closed);
json_t *json_job(const struct fetchd_job_info *info);
json_t *json_stats(const struct fetchd_stats *stats);
/* The connections of a reply that was asked for them. */
json_t *json_connections(const struct fetchd_stats *stats);

/* object[key] = value, which is consumed; a NULL value or object makes the object unusable: *object
 * is freed and NULL. */
void json_put(json_t **object, const char *key, json_t *value);

/* Prints one line to stdout and frees `object`. 0 or, for NULL, -ENOMEM. */
int json_print(json_t *object);
