/* SPDX-License-Identifier: MIT */
/*
 * Tests that the enums and names of wire.h are exactly those of the compiled schema, in both
 * directions: nothing missing, nothing too much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "proto/wire.h"

#include "fetchd.pb-c.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct entry {
	const char *name;
	int number;
};

#define X(name, number) {#name, number},
static const struct entry close_reasons[] = {CLOSE_REASON_TABLE(X)};
static const struct entry failure_codes[] = {FAILURE_CODE_TABLE(X)};
static const struct entry wait_reasons[] = {WAIT_REASON_TABLE(X)};
static const struct entry connection_states[] = {CONNECTION_STATE_TABLE(X)};
#undef X

/* The tables of codes.h, entry by entry; the schema has one more, UNSPECIFIED. */
static void check_table(const ProtobufCEnumDescriptor *descriptor, const struct entry *table,
			size_t count)
{
	assert_int_equal(descriptor->n_values, count + 1);
	assert_int_equal(descriptor->values[0].value, 0);
	for (size_t i = 0; i < count; i++) {
		const ProtobufCEnumValue *value =
			protobuf_c_enum_descriptor_get_value_by_name(descriptor, table[i].name);

		if (value == NULL) {
			fail_msg("%s is not in the schema", table[i].name);
		}
		assert_int_equal(value->value, table[i].number);
	}
}

/* Each number of the schema has its name, and each number between and beyond has none. */
#define CHECK_NAMES(descriptor, function, type)                                              \
	do {                                                                                 \
		for (int number = -2; number < 200; number++) {                              \
			const ProtobufCEnumValue *value =                                    \
				protobuf_c_enum_descriptor_get_value(&(descriptor), number); \
			const char *expected =                                               \
				value != NULL && number != 0 ? value->name : "UNSPECIFIED";  \
                                                                                             \
			assert_string_equal(function((type)number), expected);               \
		}                                                                            \
	} while (0)

static void tables_are_the_schema(void **state)
{
	(void)state;
	check_table(&fetchd__v1__close_reason__descriptor, close_reasons, COUNT(close_reasons));
	check_table(&fetchd__v1__failure_code__descriptor, failure_codes, COUNT(failure_codes));
	check_table(&fetchd__v1__wait__reason__descriptor, wait_reasons, COUNT(wait_reasons));
	check_table(&fetchd__v1__pool_connection__state__descriptor, connection_states,
		    COUNT(connection_states));
}

static void names_are_the_schema(void **state)
{
	(void)state;
	CHECK_NAMES(fetchd__v1__close_reason__descriptor, wire_close_reason_name,
		    enum wire_close_reason);
	CHECK_NAMES(fetchd__v1__failure_code__descriptor, wire_failure_code_name,
		    enum wire_failure_code);
	CHECK_NAMES(fetchd__v1__priority__descriptor, wire_priority_name, enum wire_priority);
	CHECK_NAMES(fetchd__v1__job_state__descriptor, wire_job_state_name, enum wire_job_state);
	CHECK_NAMES(fetchd__v1__warning__code__descriptor, wire_warning_code_name,
		    enum wire_warning_code);
	CHECK_NAMES(fetchd__v1__goodbye__code__descriptor, wire_goodbye_code_name,
		    enum wire_goodbye_code);
	CHECK_NAMES(fetchd__v1__wait__reason__descriptor, wire_wait_reason_name,
		    enum wire_wait_reason);
	CHECK_NAMES(fetchd__v1__pool_connection__state__descriptor, wire_connection_state_name,
		    enum wire_connection_state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_the_schema),
		cmocka_unit_test(names_are_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
