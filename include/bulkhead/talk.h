/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_TALK_H
#define BULKHEAD_TALK_H

/*
 * What is spoken in a conversation. The numbers are kept in histories on disk: they are only ever
 * added to. Zero is "not known" everywhere.
 */
enum bh_app {
	BH_APP_UNKNOWN = 0,
	BH_APP_TLS = 1,
	BH_APP_HTTP1 = 2,
	BH_APP_HTTP2 = 3,
	BH_APP_GRPC = 4,
	BH_APP_POSTGRESQL = 5,
	BH_APP_MYSQL = 6,
	BH_APP_REDIS = 7,
	BH_APP_MONGODB = 8,
	BH_APP_KAFKA = 9,
	BH_APP_AMQP = 10,
	BH_APP_NATS = 11,
	BH_APP_DNS = 12,
	BH_APP_SSH = 13,
	BH_APPS = 14,
};

enum bh_encrypted {
	BH_ENCRYPTED_UNKNOWN = 0,
	BH_ENCRYPTED_NO = 1,
	BH_ENCRYPTED_YES = 2,
};

#endif
