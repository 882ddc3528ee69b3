/* SPDX-License-Identifier: Apache-2.0 */

/* The beginning of what any client sends to a TLS port → the name it asks for, to be shown. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controller/flows/talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[BH_SNI_MAX];
	bool found = bh_talk_server_name(data, size, name);
	size_t length = strnlen(name, sizeof(name));

	if (length == sizeof(name) || found != (length > 0))
		abort();
	for (size_t i = 0; i < length; i++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_",
			    name[i]))
			abort();
	}
	return 0;
}
