/* SPDX-License-Identifier: MIT */
/*
 * Tests that the protocol on the wire does not change by accident. tests/golden/ holds a frame of
 * every kind as hexadecimal digits: the text in its comments, as encoded by another implementation
 * (`protoc --encode=fetchd.v1.ClientFrame fetchd.proto`, ServerFrame likewise). Our encoder makes
 * the same bytes of the same values, and our decoder gets the values back from them. descriptor.txt
 * holds every message, field and enum; what was published there may be added to, never changed.
 *
 * The same frames, cut short and with bits flipped, are the decoder's diet of hostile input.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"
#include "proto/wire.h"
#include "unit/proto/samples.h"

#include "fetchd.pb-c.h"

#define GOLDEN_MAX 2048u

struct golden {
	size_t length;
	uint8_t bytes[GOLDEN_MAX];
};

static unsigned digit(int character)
{
	if (character >= '0' && character <= '9') {
		return (unsigned)(character - '0');
	}
	assert_in_range(character, 'a', 'f');
	return (unsigned)(character - 'a') + 10;
}

static void read_golden(const char *name, struct golden *golden)
{
	char path[256], line[256];
	FILE *file;

	assert_true((size_t)snprintf(path, sizeof(path), "golden/%s.hex", name) < sizeof(path));
	file = fopen(path, "re");
	if (file == NULL) {
		fail_msg("%s: %s", path, strerror(errno));
	}
	golden->length = 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (line[0] == '#') {
			continue;
		}
		for (size_t i = 0; line[i] != '\n' && line[i] != '\0'; i += 2) {
			assert_true(golden->length < GOLDEN_MAX);
			golden->bytes[golden->length++] =
				(uint8_t)(digit(line[i]) << 4 | digit(line[i + 1]));
		}
	}
	fclose(file);
}

/* `encoded` is the golden frame with its length prefix. */
static void check_encoded(const char *name, const struct golden *golden, const uint8_t *encoded,
			  size_t length)
{
	uint8_t prefix[FRAMING_PREFIX_MAX];
	size_t prefix_length = framing_prefix(golden->length, prefix);

	if (length != prefix_length + golden->length ||
	    memcmp(encoded, prefix, prefix_length) != 0 ||
	    memcmp(encoded + prefix_length, golden->bytes, golden->length) != 0) {
		print_error("%s: encoded as ", name);
		for (size_t i = 0; i < length; i++) {
			print_error("%02x", encoded[i]);
		}
		print_error("\n");
		fail_msg("%s is not the golden frame", name);
	}
}

static void check_client(const char *name, const struct golden *golden,
			 const struct wire_client_frame *frame)
{
	uint8_t *encoded;
	size_t length;

	assert_int_equal(wire_client_frame_encode(frame, &encoded, &length), 0);
	check_encoded(name, golden, encoded, length);
	free(encoded);
}

static void check_server(const char *name, const struct golden *golden,
			 const struct wire_server_frame *frame)
{
	uint8_t *encoded;
	size_t length;

	assert_int_equal(wire_server_frame_encode(frame, &encoded, &length), 0);
	check_encoded(name, golden, encoded, length);
	free(encoded);
}

static void client_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLIENT_SAMPLE_COUNT; i++) {
		const struct client_sample *sample = &client_samples[i];
		struct wire_client_frame *decoded = NULL;
		const char *why = NULL;
		struct golden golden;

		read_golden(sample->name, &golden);
		check_client(sample->name, &golden, &sample->frame);
		assert_int_equal(
			wire_client_frame_decode(golden.bytes, golden.length, &decoded, &why), 0);
		assert_int_equal(decoded->kind, sample->frame.kind);
		assert_true(decoded->id == sample->frame.id);
		memset(golden.bytes, 0xaa, golden.length);
		read_golden(sample->name, &golden);
		check_client(sample->name, &golden, decoded);
		wire_client_frame_free(decoded);
	}
}

static void server_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVER_SAMPLE_COUNT; i++) {
		const struct server_sample *sample = &server_samples[i];
		struct wire_server_frame *decoded = NULL;
		const char *why = NULL;
		struct golden golden;

		read_golden(sample->name, &golden);
		check_server(sample->name, &golden, &sample->frame);
		assert_int_equal(
			wire_server_frame_decode(golden.bytes, golden.length, &decoded, &why), 0);
		assert_int_equal(decoded->kind, sample->frame.kind);
		assert_true(decoded->id == sample->frame.id);
		memset(golden.bytes, 0xaa, golden.length);
		read_golden(sample->name, &golden);
		check_server(sample->name, &golden, decoded);
		wire_server_frame_free(decoded);
	}
}

static void every_golden_file_has_a_sample(void **state)
{
	size_t count = 0;
	struct dirent *entry;
	DIR *folder = opendir("golden");

	(void)state;
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length > 4 && strcmp(entry->d_name + length - 4, ".hex") == 0) {
			count++;
		}
	}
	closedir(folder);
	assert_int_equal(count, CLIENT_SAMPLE_COUNT + SERVER_SAMPLE_COUNT);
}

/* Every member of both envelopes has a sample. */
static void every_kind_has_a_sample(void **state)
{
	bool client_seen[WIRE_CLIENT_UPLOAD_DATA + 1] = {false};
	bool server_seen[WIRE_SERVER_UPLOAD_CREDIT + 1] = {false};

	(void)state;
	for (size_t i = 0; i < CLIENT_SAMPLE_COUNT; i++) {
		client_seen[client_samples[i].frame.kind] = true;
	}
	for (size_t i = 0; i < SERVER_SAMPLE_COUNT; i++) {
		server_seen[server_samples[i].frame.kind] = true;
	}
	for (size_t i = 1; i <= WIRE_CLIENT_UPLOAD_DATA; i++) {
		assert_true(client_seen[i]);
	}
	for (size_t i = 1; i <= WIRE_SERVER_UPLOAD_CREDIT; i++) {
		assert_true(server_seen[i]);
	}
	/* The envelopes have an id, a client's a count of descriptors, and the kinds, nothing else.
	 */
	assert_int_equal(fetchd__v1__client_frame__descriptor.n_fields,
			 2 + WIRE_CLIENT_UPLOAD_DATA);
	assert_int_equal(fetchd__v1__server_frame__descriptor.n_fields,
			 1 + WIRE_SERVER_UPLOAD_CREDIT);
}

/* ---- hostile variations ---- */

/* Decodes as both; what is taken can be encoded again and is taken again. The bytes are in memory
 * of their own, so that the sanitizer sees any read beyond them. */
static void chew(const uint8_t *bytes, size_t length)
{
	struct wire_client_frame *client;
	struct wire_server_frame *server;
	const char *why = NULL;
	uint8_t *copy = malloc(length > 0 ? length : 1);
	uint8_t *encoded;
	size_t encoded_length;
	int result;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	result = wire_client_frame_decode(copy, length, &client, &why);
	if (result == 0) {
		result = wire_client_frame_encode(client, &encoded, &encoded_length);
		assert_int_equal(result, client->kind == WIRE_CLIENT_UNKNOWN ? -EINVAL : 0);
		if (result == 0) {
			free(encoded);
		}
		wire_client_frame_free(client);
	} else {
		assert_int_equal(result, -EBADMSG);
		assert_non_null(why);
	}
	why = NULL;
	result = wire_server_frame_decode(copy, length, &server, &why);
	if (result == 0) {
		result = wire_server_frame_encode(server, &encoded, &encoded_length);
		assert_int_equal(result, server->kind == WIRE_SERVER_UNKNOWN ? -EINVAL : 0);
		if (result == 0) {
			free(encoded);
		}
		wire_server_frame_free(server);
	} else {
		assert_int_equal(result, -EBADMSG);
		assert_non_null(why);
	}
	free(copy);
}

static void vary(const char *name)
{
	struct golden golden;

	read_golden(name, &golden);
	for (size_t length = 0; length < golden.length; length++) {
		chew(golden.bytes, length);
	}
	for (size_t i = 0; i < golden.length; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			golden.bytes[i] ^= (uint8_t)(1u << bit);
			chew(golden.bytes, golden.length);
			golden.bytes[i] ^= (uint8_t)(1u << bit);
		}
	}
}

static void cut_and_flipped_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLIENT_SAMPLE_COUNT; i++) {
		vary(client_samples[i].name);
	}
	for (size_t i = 0; i < SERVER_SAMPLE_COUNT; i++) {
		vary(server_samples[i].name);
	}
}

/* ---- the schema as text ---- */

#define SEEN_MAX 100u

struct dump {
	FILE *out;
	const void *seen[SEEN_MAX];
	size_t seen_count;
};

static bool first_time(struct dump *dump, const void *descriptor)
{
	for (size_t i = 0; i < dump->seen_count; i++) {
		if (dump->seen[i] == descriptor) {
			return false;
		}
	}
	assert_true(dump->seen_count < SEEN_MAX);
	dump->seen[dump->seen_count++] = descriptor;
	return true;
}

static const char *type_name(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_SINT32:
		return "sint32";
	case PROTOBUF_C_TYPE_UINT32:
		return "uint32";
	case PROTOBUF_C_TYPE_UINT64:
		return "uint64";
	case PROTOBUF_C_TYPE_BOOL:
		return "bool";
	case PROTOBUF_C_TYPE_STRING:
		return "string";
	case PROTOBUF_C_TYPE_BYTES:
		return "bytes";
	case PROTOBUF_C_TYPE_ENUM:
		return ((const ProtobufCEnumDescriptor *)field->descriptor)->name;
	case PROTOBUF_C_TYPE_MESSAGE:
		return ((const ProtobufCMessageDescriptor *)field->descriptor)->name;
	default:
		/* The schema has rules about types: no signed 64-bit, no fixed ones, no floats. */
		fail_msg("%s has a type that the schema does not use", field->name);
		return NULL;
	}
}

static void dump_enum(struct dump *dump, const ProtobufCEnumDescriptor *descriptor)
{
	if (!first_time(dump, descriptor)) {
		return;
	}
	fprintf(dump->out, "enum %s\n", descriptor->name);
	for (unsigned i = 0; i < descriptor->n_values; i++) {
		fprintf(dump->out, "\t%d %s\n", descriptor->values[i].value,
			descriptor->values[i].name);
	}
}

/* The schema has no recursive messages, so this ends. */
static void dump_message(struct dump *dump, const ProtobufCMessageDescriptor *descriptor)
{
	if (!first_time(dump, descriptor)) {
		return;
	}
	fprintf(dump->out, "message %s\n", descriptor->name);
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		const char *label = "";

		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			label = "repeated ";
		} else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			label = "oneof ";
		}
		fprintf(dump->out, "\t%u %s: %s%s\n", field->id, field->name, label,
			type_name(field));
	}
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

		if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			dump_message(dump, field->descriptor);
		} else if (field->type == PROTOBUF_C_TYPE_ENUM) {
			dump_enum(dump, field->descriptor);
		}
	}
}

static void schema_is_the_published_one(void **state)
{
	struct dump dump = {.seen_count = 0};
	char *text = NULL, *published = NULL;
	size_t length = 0, published_length = 0, count;
	char buffer[4096];
	FILE *file, *copy;

	(void)state;
	dump.out = open_memstream(&text, &length);
	assert_non_null(dump.out);
	dump_message(&dump, &fetchd__v1__client_frame__descriptor);
	dump_message(&dump, &fetchd__v1__server_frame__descriptor);
	assert_int_equal(fclose(dump.out), 0);

	file = fopen("golden/descriptor.txt", "re");
	copy = open_memstream(&published, &published_length);
	assert_non_null(copy);
	while (file != NULL && (count = fread(buffer, 1, sizeof(buffer), file)) > 0) {
		assert_int_equal(fwrite(buffer, 1, count, copy), count);
	}
	assert_int_equal(fclose(copy), 0);
	if (file != NULL) {
		fclose(file);
	}

	if (length != published_length || memcmp(text, published, length) != 0) {
		fputs("The schema is now:\n", stderr);
		fputs(text, stderr);
		fail_msg("the schema is not that of golden/descriptor.txt");
	}
	free(text);
	free(published);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_frames),
		cmocka_unit_test(server_frames),
		cmocka_unit_test(every_golden_file_has_a_sample),
		cmocka_unit_test(every_kind_has_a_sample),
		cmocka_unit_test(cut_and_flipped_frames),
		cmocka_unit_test(schema_is_the_published_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
