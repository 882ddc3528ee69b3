/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The asking end of the control socket, spoken by hand: nng's library would have to be on the host.
 * Scalability Protocols over a stream (nanomsg's RFCs sp-tcp-mapping and sp-request-reply, and the
 * IPC mapping with its one byte in front): each side says 00 'S' 'P' 00 and its role; then
 * messages, 01 and a length of 8 bytes in front; a request begins with a number that its answer
 * repeats.
 */

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tools/cni/cni.h"

#define ANSWER_MAX (64 * 1024)
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 500
#define ROLE_REQUEST 48
#define ROLE_REPLY 49
#define REQUEST_NUMBER 0x80000001u /* the highest bit ends the way back */

struct head {
	uint8_t type;
	uint64_t size; /* big-endian, of number and body */
	uint32_t number;
} __attribute__((packed));

uint64_t bh_cni_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits for the socket. Returns 0, or -ETIMEDOUT. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	uint64_t now = bh_cni_now_ms();
	struct pollfd p = {.fd = fd, .events = events};
	int r;

	if (now >= deadline)
		return -ETIMEDOUT;
	r = poll(&p, 1, (int)(deadline - now));
	if (r < 0 && errno != EINTR)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

static int write_all(int fd, const void *data, size_t size, uint64_t deadline)
{
	for (const char *at = data; size;) {
		int r = wait_for(fd, POLLOUT, deadline);
		ssize_t n = r < 0 ? r : send(fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r < 0)
			return r;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int read_all(int fd, void *data, size_t size, uint64_t deadline)
{
	for (char *at = data; size;) {
		int r = wait_for(fd, POLLIN, deadline);
		ssize_t n = r < 0 ? r : recv(fd, at, size, MSG_DONTWAIT);

		if (r < 0)
			return r;
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int connect_to(const char *run_dir, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", run_dir);

	if (fd < 0)
		return -errno;
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_fd = bh_take_fd(fd);
	return 0;
}

static int greet(int fd, uint64_t deadline)
{
	static const uint8_t ours[8] = {0, 'S', 'P', 0, 0, ROLE_REQUEST};
	uint8_t theirs[8];
	int r = write_all(fd, ours, sizeof(ours), deadline);

	if (r == 0)
		r = read_all(fd, theirs, sizeof(theirs), deadline);
	if (r == 0 && (memcmp(theirs, ours, 5) || theirs[5] != ROLE_REPLY))
		r = -EPROTO;
	return r;
}

/* *ret_text is the caller's, and ends with a zero byte that does not count. */
static int receive(int fd, uint64_t deadline, char **ret_text, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	struct head head;
	uint64_t size;
	int r = read_all(fd, &head, sizeof(head), deadline);

	if (r < 0)
		return r;
	size = be64toh(head.size);
	if (head.type != 1 || be32toh(head.number) != REQUEST_NUMBER || size < 4 ||
		size > ANSWER_MAX)
		return -EPROTO;
	text = calloc(1, size);
	if (!text)
		return -ENOMEM;
	r = read_all(fd, text, size - 4, deadline);
	if (r < 0)
		return r;
	*ret_text = bh_take_pointer(text);
	*ret_size = size - 4;
	return 0;
}

static int ask_once(const char *run_dir, const char *request, uint64_t deadline, char **ret_text,
	size_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	struct head head = {
		.type = 1,
		.size = htobe64(strlen(request) + 4),
		.number = htobe32(REQUEST_NUMBER),
	};
	int r = connect_to(run_dir, &fd);

	if (r == 0)
		r = greet(fd, deadline);
	if (r == 0)
		r = write_all(fd, &head, sizeof(head), deadline);
	if (r == 0)
		r = write_all(fd, request, strlen(request), deadline);
	return r == 0 ? receive(fd, deadline, ret_text, ret_size) : r;
}

/* Nobody listens (yet, or for a moment): the daemons may be only starting. */
static bool is_passing(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -ECONNRESET ||
	       error == -EPIPE;
}

static void pause_for(unsigned int ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&pause, NULL);
}

json_t *bh_cni_ask(
	const char *run_dir, const json_t *request, uint64_t deadline, struct bh_cni_error *error)
{
	_cleanup_free_ char *question = json_dumps(request, JSON_COMPACT);
	_cleanup_free_ char *text = NULL;
	unsigned int delay = RETRY_MIN_MS;
	json_error_t problem;
	json_t *answer;
	size_t size = 0;
	int r;

	if (!question) {
		bh_cni_fail(error, BH_CNI_CONFIG, "a name is not valid UTF-8");
		return NULL;
	}
	while (is_passing(r = ask_once(run_dir, question, deadline, &text, &size)) &&
		bh_cni_now_ms() + delay < deadline) {
		pause_for(delay);
		delay = delay * 2 < RETRY_MAX_MS ? delay * 2 : RETRY_MAX_MS;
	}
	if (r < 0) {
		bh_cni_fail(error, BH_CNI_TRY_AGAIN, "Bulkhead's controller at %s: %s", run_dir,
			r == -ENOENT || r == -ECONNREFUSED ? "it is not running" : strerror(-r));
		return NULL;
	}
	answer = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
	if (!json_is_object(answer)) {
		json_decref(answer);
		bh_cni_fail(error, BH_CNI_IO,
			"Bulkhead's controller at %s: its answer makes no sense", run_dir);
		return NULL;
	}
	return answer;
}
