/* SPDX-License-Identifier: MIT */
/*
 * What all TLS connections have in common: the CAs to trust and the algorithms to offer.
 */
#include "net/tls_internal.h"

#include "net/errno_text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int explain_memory(int code)
{
	return code == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : 1;
}

static int load_system_trust(gnutls_certificate_credentials_t credentials,
			     struct failure *ret_failure)
{
	int count = gnutls_certificate_set_x509_system_trust(credentials);

	if (count > 0) {
		return 0;
	}
	if (count == 0) {
		failure_set(ret_failure, FAIL_TLS_CERT_UNTRUSTED,
			    "the system has no trusted certificates: install ca-certificates or "
			    "set tls.ca_file");
		return 1;
	}
	failure_set(ret_failure, FAIL_TLS_CERT_UNTRUSTED,
		    "cannot load the system's trusted certificates (%s): install "
		    "ca-certificates or set tls.ca_file",
		    gnutls_strerror(count))
		->tls_code = count;
	return explain_memory(count);
}

static int load_ca_file(gnutls_certificate_credentials_t credentials, const char *path,
			struct failure *ret_failure)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int count;

	/* GnuTLS does not say why it could not read a file. */
	if (fd < 0) {
		int error = errno;

		failure_set(ret_failure, FAIL_TLS_CERT_UNTRUSTED, "cannot read tls.ca_file %s: %s",
			    path, errno_text(error))
			->sys_errno = error;
		return 1;
	}
	(void)close(fd);
	count = gnutls_certificate_set_x509_trust_file(credentials, path, GNUTLS_X509_FMT_PEM);
	if (count > 0) {
		return 0;
	}
	failure_set(ret_failure, FAIL_TLS_CERT_UNTRUSTED,
		    "tls.ca_file %s holds no certificates in PEM form%s%s", path,
		    count < 0 ? ": " : "", count < 0 ? gnutls_strerror(count) : "")
		->tls_code = count;
	return explain_memory(count);
}

static int set_priority(struct tls_context *context, const char *priority,
			struct failure *ret_failure)
{
	const char *error_at = NULL;
	bool given = priority && *priority;
	int r = gnutls_priority_init2(&context->priority, given ? priority : NULL, &error_at, 0);

	if (r == GNUTLS_E_SUCCESS) {
		return 0;
	}
	if (given && error_at && *error_at) {
		failure_set(ret_failure, FAIL_TLS_HANDSHAKE,
			    "tls.priority is wrong from \"%.64s\" on: %s", error_at,
			    gnutls_strerror(r))
			->tls_code = r;
	} else {
		failure_set(ret_failure, FAIL_TLS_HANDSHAKE, "tls.priority \"%.64s\": %s",
			    given ? priority : "", gnutls_strerror(r))
			->tls_code = r;
	}
	return explain_memory(r);
}

int tls_context_new(const char *ca_file, const char *priority, struct tls_context **ret_context,
		    struct failure *ret_failure)
{
	struct tls_context *context = calloc(1, sizeof(*context));
	int r;

	if (!context) {
		return -ENOMEM;
	}
	context->references = 1;
	r = gnutls_certificate_allocate_credentials(&context->credentials);
	if (r != GNUTLS_E_SUCCESS) {
		free(context);
		return -ENOMEM;
	}
	r = set_priority(context, priority, ret_failure);
	if (r == 0) {
		r = ca_file && *ca_file ? load_ca_file(context->credentials, ca_file, ret_failure)
					: load_system_trust(context->credentials, ret_failure);
	}
	if (r != 0) {
		tls_context_unref(context);
		return r;
	}
	*ret_context = context;
	return 0;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	context->references++;
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	if (!context) {
		return;
	}
	assert(context->references > 0);
	context->references--;
	if (context->references == 0) {
		if (context->priority) {
			gnutls_priority_deinit(context->priority);
		}
		gnutls_certificate_free_credentials(context->credentials);
		free(context);
	}
}
