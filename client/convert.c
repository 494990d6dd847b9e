/* SPDX-License-Identifier: MIT */
/* Small conversions between the wire's structs and the public ones. */
#include "internal.h"

#include <stdlib.h>

int64_t convert_optional(struct wire_optional optional)
{
	if (!optional.set) {
		return -1;
	}
	return optional.value > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)optional.value;
}

const struct fetchd_field *convert_fields(struct fetchd_connection *connection,
					  const struct wire_field *fields, size_t count)
{
	/* Never NULL on success, also without fields: callers can tell it from no memory. */
	if (connection->fields == NULL || count > connection->field_capacity) {
		size_t capacity = count > 32 ? count : 32;
		struct fetchd_field *bigger =
			reallocarray(connection->fields, capacity, sizeof(*bigger));

		if (bigger == NULL) {
			return NULL;
		}
		connection->fields = bigger;
		connection->field_capacity = capacity;
	}
	for (size_t i = 0; i < count; i++) {
		struct wire_bytes name = fields[i].name, value = fields[i].value;

		connection->fields[i] = (struct fetchd_field){
			.name = name.length > 0 ? (const char *)name.data : "",
			.name_length = name.length,
			.value = value.length > 0 ? (const char *)value.data : "",
			.value_length = value.length,
		};
	}
	return connection->fields;
}
