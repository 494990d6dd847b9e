/* SPDX-License-Identifier: MIT */
/*
 * Tests of what the daemon takes from a client: every documented limit from both sides, what an
 * older or newer peer may send, and what encoding refuses.
 */
#include "unit/proto/hostile.h"

#include "fetchd.pb-c.h"

static struct hostile hostile;

static void pack_hello(const Fetchd__V1__ClientHello *hello)
{
	Fetchd__V1__ClientFrame frame = FETCHD__V1__CLIENT_FRAME__INIT;

	frame.msg_case = FETCHD__V1__CLIENT_FRAME__MSG_HELLO;
	frame.hello = (Fetchd__V1__ClientHello *)hello;
	hostile_pack(&hostile, &frame.base);
}

static void pack_submit(const Fetchd__V1__Submit *submit)
{
	Fetchd__V1__ClientFrame frame = FETCHD__V1__CLIENT_FRAME__INIT;

	frame.id = 1;
	frame.msg_case = FETCHD__V1__CLIENT_FRAME__MSG_SUBMIT;
	frame.submit = (Fetchd__V1__Submit *)submit;
	hostile_pack(&hostile, &frame.base);
}

static void hello_limits(void **state)
{
	Fetchd__V1__ClientHello hello = FETCHD__V1__CLIENT_HELLO__INIT;
	char *features[WIRE_FEATURES_MAX + 1];
	char *good = long_text('f', WIRE_FEATURE_BYTES_MAX);
	char *bad = long_text('f', WIRE_FEATURE_BYTES_MAX + 1);
	struct wire_client_frame *frame;

	(void)state;
	for (size_t i = 0; i <= WIRE_FEATURES_MAX; i++) {
		features[i] = good;
	}
	hello.features = features;
	hello.n_features = WIRE_FEATURES_MAX;
	hello.client_name = good;
	pack_hello(&hello);
	frame = take_client(&hostile);
	assert_int_equal(frame->kind, WIRE_CLIENT_HELLO);
	assert_int_equal(frame->hello.feature_count, WIRE_FEATURES_MAX);
	assert_string_equal(frame->hello.features[WIRE_FEATURES_MAX - 1], good);
	assert_string_equal(frame->hello.client_name, good);
	wire_client_frame_free(frame);

	hello.n_features++;
	pack_hello(&hello);
	refuse_client(&hostile, "ClientHello.features: more than 32");
	hello.n_features--;

	features[31] = bad;
	pack_hello(&hello);
	refuse_client(&hostile, "ClientHello.features: one is longer than 64 bytes");
	features[31] = good;

	hello.client_name = bad;
	pack_hello(&hello);
	refuse_client(&hostile, "ClientHello.client_name: longer than 64 bytes");
	free(good);
	free(bad);
}

static void submit_text_limits(void **state)
{
	Fetchd__V1__Submit submit = FETCHD__V1__SUBMIT__INIT;
	struct wire_client_frame *frame;
	char *url = long_text('u', WIRE_URL_MAX + 1);
	char *method = long_text('M', WIRE_METHOD_MAX + 1);

	(void)state;
	submit.url = url + 1;
	submit.method = method + 1;
	pack_submit(&submit);
	frame = take_client(&hostile);
	assert_int_equal(strlen(frame->submit.url), WIRE_URL_MAX);
	assert_int_equal(strlen(frame->submit.method), WIRE_METHOD_MAX);
	wire_client_frame_free(frame);

	submit.url = url;
	pack_submit(&submit);
	refuse_client(&hostile, "Submit.url: longer than 8192 bytes");
	submit.url = url + 1;
	submit.method = method;
	pack_submit(&submit);
	refuse_client(&hostile, "Submit.method: longer than 32 bytes");
	free(url);
	free(method);
}

static void submit_header_limits(void **state)
{
	static uint8_t octets[WIRE_FIELD_VALUE_MAX + 1];
	Fetchd__V1__Field field = FETCHD__V1__FIELD__INIT;
	Fetchd__V1__Field small = FETCHD__V1__FIELD__INIT;
	Fetchd__V1__Field *fields[WIRE_HEADERS_MAX + 1];
	Fetchd__V1__Submit submit = FETCHD__V1__SUBMIT__INIT;
	struct wire_client_frame *frame;

	(void)state;
	memset(octets, 0x80, sizeof(octets));
	small.name = (ProtobufCBinaryData){.len = 1, .data = octets};
	field.name = (ProtobufCBinaryData){.len = WIRE_FIELD_NAME_MAX, .data = octets};
	field.value = (ProtobufCBinaryData){.len = WIRE_FIELD_VALUE_MAX, .data = octets};
	fields[0] = &field;
	for (size_t i = 1; i <= WIRE_HEADERS_MAX; i++) {
		fields[i] = &small;
	}
	submit.headers = fields;
	submit.n_headers = WIRE_HEADERS_MAX;
	pack_submit(&submit);
	frame = take_client(&hostile);
	assert_int_equal(frame->submit.header_count, WIRE_HEADERS_MAX);
	assert_int_equal(frame->submit.headers[0].name.length, WIRE_FIELD_NAME_MAX);
	assert_int_equal(frame->submit.headers[0].value.length, WIRE_FIELD_VALUE_MAX);
	assert_memory_equal(frame->submit.headers[0].value.data, octets, WIRE_FIELD_VALUE_MAX);
	assert_int_equal(frame->submit.headers[1].value.length, 0);
	assert_non_null(frame->submit.headers[1].value.data);
	wire_client_frame_free(frame);

	submit.n_headers++;
	pack_submit(&submit);
	refuse_client(&hostile, "Submit.headers: more than 128");
	submit.n_headers--;

	field.name.len++;
	pack_submit(&submit);
	refuse_client(&hostile, "Submit.headers: a name is not of 1 to 256 bytes");
	field.name.len = 0;
	pack_submit(&submit);
	refuse_client(&hostile, "Submit.headers: a name is not of 1 to 256 bytes");
	field.name.len = 1;
	field.value.len++;
	pack_submit(&submit);
	refuse_client(&hostile, "Submit.headers: a value is longer than 16384 bytes");
}

static void body_fills_the_frame(void **state)
{
	static uint8_t octets[WIRE_CLIENT_FRAME_MAX];
	/* id 2 bytes; tags and lengths of Submit and body 1 + 3 each */
	const size_t room = WIRE_CLIENT_FRAME_MAX - 2 - 4 - 4;
	struct wire_client_frame frame = {
		.id = 1,
		.kind = WIRE_CLIENT_SUBMIT,
		.submit = {.has_body = true, .body = {.data = octets, .length = room}},
	};
	struct wire_client_frame *decoded;
	uint8_t *encoded = NULL;
	size_t length = 0;

	(void)state;
	assert_int_equal(wire_client_frame_encode(&frame, &encoded, &length), 0);
	assert_int_equal(length, 3 + WIRE_CLIENT_FRAME_MAX);
	hostile.length = 0;
	hostile_add(&hostile, encoded + 3, length - 3);
	free(encoded);
	decoded = take_client(&hostile);
	assert_true(decoded->submit.has_body);
	assert_int_equal(decoded->submit.body.length, room);
	wire_client_frame_free(decoded);

	encoded = NULL;
	length = 77;
	frame.submit.body.length++;
	assert_int_equal(wire_client_frame_encode(&frame, &encoded, &length), -EMSGSIZE);
	assert_null(encoded);
	assert_int_equal(length, 77);

	/* One byte more, well-formed: too long all the same. */
	hostile_add(&hostile, "\x08", 1);
	refuse_client(&hostile, "the frame is too long");
}

/* The largest piece that the library makes, with the longest id, and one byte more than fits. */
static void upload_data_fills_the_frame(void **state)
{
	static uint8_t octets[WIRE_CLIENT_FRAME_MAX];
	/* id 11 bytes; tags and lengths of UploadData 2 + 3 and of data 1 + 3; end 2 */
	const size_t room = WIRE_CLIENT_FRAME_MAX - 11 - 5 - 4 - 2;
	struct wire_client_frame frame = {
		.id = UINT64_MAX,
		.kind = WIRE_CLIENT_UPLOAD_DATA,
		.upload_data = {.data = {.data = octets, .length = room}, .end = true},
	};
	struct wire_client_frame *decoded;
	uint8_t *encoded = NULL;
	size_t length = 0;

	(void)state;
	assert_int_equal(wire_client_frame_encode(&frame, &encoded, &length), 0);
	assert_int_equal(length, 3 + WIRE_CLIENT_FRAME_MAX);
	hostile.length = 0;
	hostile_add(&hostile, encoded + 3, length - 3);
	free(encoded);
	decoded = take_client(&hostile);
	assert_int_equal(decoded->kind, WIRE_CLIENT_UPLOAD_DATA);
	assert_int_equal(decoded->upload_data.data.length, room);
	assert_true(decoded->upload_data.end);
	wire_client_frame_free(decoded);

	encoded = NULL;
	frame.upload_data.data.length++;
	assert_int_equal(wire_client_frame_encode(&frame, &encoded, &length), -EMSGSIZE);
	assert_null(encoded);

	/* Nothing at all: no piece, and not the last one. */
	hostile.length = 0;
	hostile_field(&hostile, 24, NULL, 0);
	decoded = take_client(&hostile);
	assert_int_equal(decoded->kind, WIRE_CLIENT_UPLOAD_DATA);
	assert_int_equal(decoded->upload_data.data.length, 0);
	assert_non_null(decoded->upload_data.data.data);
	assert_false(decoded->upload_data.end);
	wire_client_frame_free(decoded);
}

static void absent_and_present_differ(void **state)
{
	static const uint8_t body[] = {0x22, 0x00}; /* body: "" */
	static const uint8_t allowed[] = {0x70, 0x01};
	static const uint8_t forbidden[] = {0x70, 0x00};
	static const uint8_t limit[] = {0x28, 0x00}; /* max_size: 0 */
	static const uint8_t upload[] = {0x82, 0x02, 0x00};
	static const uint8_t empty_upload[] = {0x82, 0x02, 0x02, 0x08, 0x00};
	struct wire_client_frame *frame;

	(void)state;
	hostile.length = 0;
	hostile_field(&hostile, 4, NULL, 0);
	frame = take_client(&hostile);
	assert_int_equal(frame->kind, WIRE_CLIENT_SUBMIT);
	assert_string_equal(frame->submit.url, "");
	assert_string_equal(frame->submit.method, "");
	assert_false(frame->submit.has_body);
	assert_false(frame->submit.max_size.set);
	assert_false(frame->submit.replay_forbidden);
	assert_int_equal(frame->submit.max_redirects, 0);
	assert_false(frame->submit.redirect_to_cleartext);
	assert_false(frame->submit.has_upload);
	wire_client_frame_free(frame);

	hostile.length = 0;
	hostile_field(&hostile, 4, body, sizeof(body));
	frame = take_client(&hostile);
	assert_true(frame->submit.has_body);
	assert_int_equal(frame->submit.body.length, 0);
	assert_non_null(frame->submit.body.data);
	wire_client_frame_free(frame);

	hostile.length = 0;
	hostile_field(&hostile, 4, limit, sizeof(limit));
	frame = take_client(&hostile);
	assert_true(frame->submit.max_size.set);
	assert_int_equal(frame->submit.max_size.value, 0);
	wire_client_frame_free(frame);

	/* An upload of unknown length, and one that is known to be empty. */
	hostile.length = 0;
	hostile_field(&hostile, 4, upload, 3);
	frame = take_client(&hostile);
	assert_true(frame->submit.has_upload);
	assert_false(frame->submit.upload_length.set);
	assert_false(frame->submit.has_body);
	wire_client_frame_free(frame);

	hostile.length = 0;
	hostile_field(&hostile, 4, empty_upload, sizeof(empty_upload));
	frame = take_client(&hostile);
	assert_true(frame->submit.has_upload);
	assert_true(frame->submit.upload_length.set);
	assert_int_equal(frame->submit.upload_length.value, 0);
	wire_client_frame_free(frame);

	hostile.length = 0;
	hostile_field(&hostile, 4, allowed, sizeof(allowed));
	frame = take_client(&hostile);
	assert_false(frame->submit.replay_forbidden);
	wire_client_frame_free(frame);

	hostile.length = 0;
	hostile_field(&hostile, 4, forbidden, sizeof(forbidden));
	frame = take_client(&hostile);
	assert_true(frame->submit.replay_forbidden);
	wire_client_frame_free(frame);
}

static void unknown_enum_reads_as_unspecified(void **state)
{
	static const uint8_t numbers[][3] = {{0x60, 0x05}, {0x60, 0x7f}, {0x60, 0xff, 0x01}};
	static const uint8_t negative[] = {0x60, 0xff, 0xff, 0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0xff, 0x01};
	struct wire_client_frame *frame;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		hostile.length = 0;
		hostile_field(&hostile, 4, numbers[i], i < 2 ? 2 : 3);
		frame = take_client(&hostile);
		assert_int_equal(frame->submit.priority, WIRE_PRIORITY_UNSPECIFIED);
		wire_client_frame_free(frame);
	}
	hostile.length = 0;
	hostile_field(&hostile, 4, negative, sizeof(negative));
	frame = take_client(&hostile);
	assert_int_equal(frame->submit.priority, WIRE_PRIORITY_UNSPECIFIED);
	wire_client_frame_free(frame);
}

static void unknown_kind_is_named(void **state)
{
	struct wire_client_frame *frame;

	(void)state;
	hostile.length = 0;
	frame = take_client(&hostile);
	assert_int_equal(frame->kind, WIRE_CLIENT_UNKNOWN);
	assert_int_equal(frame->id, 0);
	assert_int_equal(frame->unknown.field, 0);
	wire_client_frame_free(frame);

	hostile_add(&hostile, "\x08\x09", 2);
	hostile_field(&hostile, 25, "new", 3);
	hostile_field(&hostile, 26, "newer", 5);
	frame = take_client(&hostile);
	assert_int_equal(frame->kind, WIRE_CLIENT_UNKNOWN);
	assert_int_equal(frame->id, 9);
	assert_int_equal(frame->unknown.field, 25);
	wire_client_frame_free(frame);

	/* Beside a known kind it is no more than a field to ignore. */
	hostile_field(&hostile, 10, NULL, 0);
	frame = take_client(&hostile);
	assert_int_equal(frame->kind, WIRE_CLIENT_PING);
	wire_client_frame_free(frame);
}

static void last_of_two_kinds_counts(void **state)
{
	static const uint8_t credit[] = {0x08, 0x05};
	struct wire_client_frame *frame;

	(void)state;
	hostile.length = 0;
	hostile_field(&hostile, 4, "\x0a\x01u", 3);
	hostile_field(&hostile, 5, credit, sizeof(credit));
	frame = take_client(&hostile);
	assert_int_equal(frame->kind, WIRE_CLIENT_CREDIT);
	assert_int_equal(frame->credit.bytes, 5);
	wire_client_frame_free(frame);
}

static void encoding_refuses(void **state)
{
	static const char *const features[] = {"good", "\xff"};
	struct wire_client_frame frame = {.kind = WIRE_CLIENT_UNKNOWN};
	uint8_t *data = NULL;
	size_t length = 77;

	(void)state;
	assert_int_equal(wire_client_frame_encode(&frame, &data, &length), -EINVAL);

	/* A receiver would end the conversation for these. */
	frame = (struct wire_client_frame){.kind = WIRE_CLIENT_SUBMIT,
					   .submit = {.url = "http://\xe9t\xe9.example/"}};
	assert_int_equal(wire_client_frame_encode(&frame, &data, &length), -EINVAL);
	frame.submit.url = "http://a/";
	frame.submit.method = "\x80";
	assert_int_equal(wire_client_frame_encode(&frame, &data, &length), -EINVAL);
	frame = (struct wire_client_frame){.kind = WIRE_CLIENT_HELLO,
					   .hello = {.client_name = "\xc3"}};
	assert_int_equal(wire_client_frame_encode(&frame, &data, &length), -EINVAL);
	frame = (struct wire_client_frame){.kind = WIRE_CLIENT_HELLO,
					   .hello = {.features = features, .feature_count = 2}};
	assert_int_equal(wire_client_frame_encode(&frame, &data, &length), -EINVAL);
	assert_null(data);
	assert_int_equal(length, 77);

	wire_client_frame_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_limits),
		cmocka_unit_test(submit_text_limits),
		cmocka_unit_test(submit_header_limits),
		cmocka_unit_test(body_fills_the_frame),
		cmocka_unit_test(upload_data_fills_the_frame),
		cmocka_unit_test(absent_and_present_differ),
		cmocka_unit_test(unknown_enum_reads_as_unspecified),
		cmocka_unit_test(unknown_kind_is_named),
		cmocka_unit_test(last_of_two_kinds_counts),
		cmocka_unit_test(encoding_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
