/* SPDX-License-Identifier: MIT */
/*
 * The functions of a channel that are the same for every kind; the rest goes through its vtable.
 */
#include "net/channel.h"

enum io channel_read(struct channel *channel, void *buffer, size_t size, size_t *ret_count,
		     struct failure *ret_failure)
{
	return channel->ops->read(channel, buffer, size, ret_count, ret_failure);
}

enum io channel_write(struct channel *channel, const void *data, size_t length, size_t *ret_count,
		      struct failure *ret_failure)
{
	return channel->ops->write(channel, data, length, ret_count, ret_failure);
}

bool channel_eof_clean(const struct channel *channel)
{
	return channel->eof_clean;
}

/* Nobody to tell: then nothing is watched either, or a level-triggered watcher would spin. */
static void update_interest(struct channel *channel)
{
	channel->ops->want_read(channel, channel->callbacks && !channel->paused);
}

void channel_listen(struct channel *channel, const struct channel_callbacks *callbacks, void *ctx)
{
	channel->callbacks = callbacks;
	channel->ctx = ctx;
	update_interest(channel);
}

void channel_want_read(struct channel *channel, bool want)
{
	channel->paused = !want;
	update_interest(channel);
}

const struct channel_info *channel_info(const struct channel *channel)
{
	return &channel->info;
}

uint64_t channel_rtt_us(const struct channel *channel)
{
	return channel->ops->rtt_us ? channel->ops->rtt_us(channel) : 0;
}

void channel_close(struct channel *channel)
{
	if (channel) {
		channel->ops->close(channel);
	}
}
