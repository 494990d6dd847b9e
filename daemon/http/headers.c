/* SPDX-License-Identifier: MIT */
/*
 * Header lists: one text buffer, one array of positions, both grown by doubling under the list's
 * ceilings.
 */
#include "http/headers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct header_slot {
	uint32_t name_at;
	uint32_t name_length;
	uint32_t value_at;
	uint32_t value_length;
};

#define FIELD_OVERHEAD 32u /* RFC 9113, section 6.5.2 */

void header_list_init(struct header_list *list, uint32_t max_size, uint32_t max_count)
{
	*list = (struct header_list){.max_size = max_size, .max_count = max_count};
}

void header_list_clear(struct header_list *list)
{
	free(list->text);
	free(list->slots);
	header_list_init(list, list->max_size, list->max_count);
}

static int reserve_text(struct header_list *list, uint32_t more)
{
	uint32_t need = list->text_length + more;
	uint32_t room = list->text_room ? list->text_room : 256;
	char *text = NULL;

	/* A list with fields has text, also when all of them are empty. */
	if (list->text && need <= list->text_room) {
		return 0;
	}
	while (room < need) {
		room *= 2;
	}
	text = realloc(list->text, room);
	if (!text) {
		return -ENOMEM;
	}
	list->text = text;
	list->text_room = room;
	return 0;
}

static int reserve_slot(struct header_list *list)
{
	uint32_t room = list->slot_room ? list->slot_room * 2 : 8;
	struct header_slot *slots = NULL;

	if (list->count < list->slot_room) {
		return 0;
	}
	slots = realloc(list->slots, room * sizeof(*slots));
	if (!slots) {
		return -ENOMEM;
	}
	list->slots = slots;
	list->slot_room = room;
	return 0;
}

static uint32_t append_text(struct header_list *list, const char *data, size_t length)
{
	uint32_t at = list->text_length;

	if (length) {
		memcpy(list->text + at, data, length);
	}
	list->text_length += (uint32_t)length;
	return at;
}

int header_list_add(struct header_list *list, const struct header_field *field)
{
	size_t length = field->name_length + field->value_length;
	struct header_slot *slot = NULL;
	int rc = 0;

	if (list->count >= list->max_count || length > UINT32_MAX / 4 ||
	    length + FIELD_OVERHEAD > list->max_size - list->size) {
		return -ENOBUFS;
	}
	rc = reserve_text(list, (uint32_t)length);
	if (rc == 0) {
		rc = reserve_slot(list);
	}
	if (rc < 0) {
		return rc;
	}
	slot = &list->slots[list->count++];
	slot->name_at = append_text(list, field->name, field->name_length);
	slot->name_length = (uint32_t)field->name_length;
	slot->value_at = append_text(list, field->value, field->value_length);
	slot->value_length = (uint32_t)field->value_length;
	list->size += (uint32_t)length + FIELD_OVERHEAD;
	return 0;
}

uint32_t header_list_count(const struct header_list *list)
{
	return list->count;
}

struct header_field header_list_get(const struct header_list *list, uint32_t index)
{
	const struct header_slot *slot = NULL;

	assert(index < list->count);
	slot = &list->slots[index];
	return (struct header_field){
		.name = list->text + slot->name_at,
		.name_length = slot->name_length,
		.value = list->text + slot->value_at,
		.value_length = slot->value_length,
	};
}

static bool field_is(const struct header_field *field, const char *name)
{
	return field->name_length == strlen(name) &&
	       memcmp(field->name, name, field->name_length) == 0;
}

uint32_t header_list_find(const struct header_list *list, const char *name, uint32_t from)
{
	uint32_t i = from;

	for (; i < list->count; i++) {
		struct header_field field = header_list_get(list, i);

		if (field_is(&field, name)) {
			break;
		}
	}
	return i < list->count ? i : list->count;
}

bool header_parse_length(const char *value, size_t length, uint64_t *ret_length)
{
	uint64_t number = 0;

	if (length == 0) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		uint64_t digit = (uint64_t)(value[i] - '0');

		if (value[i] < '0' || value[i] > '9') {
			return false;
		}
		if (number > ((uint64_t)INT64_MAX - digit) / 10) {
			return false;
		}
		number = number * 10 + digit;
	}
	*ret_length = number;
	return true;
}

bool header_may_be_indexed(const char *name, size_t length)
{
	static const char *const common[] = {"accept",
					     "accept-encoding",
					     "accept-language",
					     "cache-control",
					     "content-type",
					     "user-agent",
					     "te",
					     "priority"};

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		if (length == strlen(common[i]) && memcmp(name, common[i], length) == 0) {
			return true;
		}
	}
	return length > 0 && name[0] == ':';
}
