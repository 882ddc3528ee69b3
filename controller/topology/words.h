/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_WORDS_H
#define BULKHEAD_TOPOLOGY_WORDS_H

/* What protocols are called, wherever people or programs read it. */

#include <stdint.h>

/* "TCP", "ICMPv6", or the number, into `text`. */
#define BH_PROTOCOL_TEXT_MAX 8
const char *bh_protocol_word(uint8_t protocol, char text[BH_PROTOCOL_TEXT_MAX]);
/* The number of such a word in any case; -1 for what is none. */
int bh_protocol_number(const char *word);
/* "postgresql"; "unknown" for what is none. */
const char *bh_app_word(uint8_t app);
int bh_app_number(const char *word);
/* "unknown", "no", "yes" */
const char *bh_encrypted_word(uint8_t encrypted);
int bh_encrypted_number(const char *word);
/* "1.3"; "" for what is none. `version`: as on the wire. */
const char *bh_tls_word(uint16_t version);

#endif
