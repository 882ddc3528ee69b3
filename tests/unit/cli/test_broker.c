/* SPDX-License-Identifier: Apache-2.0 */

/* The broker of `up` against a controller that has been taken over. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/broker.h"
#include "tools/bulkhead/broker.h"

struct scene {
	char base[64];
	char folder[96];
	enum bh_broker_subject subject;
	char kubeconfig[128];
	int ours;
	int theirs;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
}

static void in_folder(const struct scene *s, const char *name, char *path)
{
	sprintf(path, "%s/%s", s->folder, name);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	char path[256];
	int pair[2];

	strcpy(s->base, "/tmp/bh-broker-XXXXXX");
	if (!mkdtemp(s->base))
		return -1;
	sprintf(s->folder, "%s/folder", s->base);
	mkdir(s->folder, 0700);
	in_folder(s, "a.yaml", path);
	write_file(path, "a");
	sprintf(path, "%s/secret", s->base);
	write_file(path, "secret");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	s->ours = pair[0];
	s->theirs = pair[1];
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	char command[128];

	close(s->ours);
	close(s->theirs);
	sprintf(command, "rm -rf %s", s->base);
	if (system(command) != 0)
		return -1;
	free(s);
	return 0;
}

/* Asks as the controller would. Returns the descriptor or -errno. */
static int request(struct scene *s, const void *data, size_t size)
{
	struct bh_broker_reply reply = {0};
	struct iovec part = {.iov_base = &reply, .iov_len = sizeof(reply)};
	char control[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8)));
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	int fd;

	assert_int_equal(send(s->theirs, data, size, 0), size);
	assert_int_equal(bh_broker_serve(s->ours, s->subject,
				 s->subject == BH_BROKER_FOLDER ? s->folder : s->kubeconfig),
		0);
	assert_int_equal(recvmsg(s->theirs, &message, MSG_DONTWAIT), sizeof(reply));
	header = CMSG_FIRSTHDR(&message);
	if (reply.error) {
		assert_null(header);
		return -(int)reply.error;
	}
	assert_non_null(header);
	assert_int_equal(header->cmsg_len, CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static int request_open(struct scene *s, const char *name)
{
	char packet[512] = {BH_BROKER_OPEN};

	strcpy(packet + 1, name);
	return request(s, packet, 1 + strlen(name));
}

static void opens_a_file_of_the_folder_for_reading_only(void **state)
{
	int fd = request_open(*state, "a.yaml");
	char text[4] = "";

	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), 1);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
}

static void lists_and_watches_the_folder(void **state)
{
	struct scene *s = *state;
	char list = BH_BROKER_LIST;
	char watch = BH_BROKER_INOTIFY;
	int folder = request(s, &list, 1);
	int inotify = request(s, &watch, 1);
	char path[256];
	char event[512];

	assert_true(folder >= 0 && inotify >= 0);
	in_folder(s, "b.yaml", path);
	write_file(path, "b");
	assert_int_equal(faccessat(folder, "b.yaml", R_OK, 0), 0);
	assert_true(read(inotify, event, sizeof(event)) > 0);
	close(folder);
	close(inotify);
}

static void follows_links_inside_the_folder(void **state)
{
	struct scene *s = *state;
	char path[256];
	int fd;

	/* As a mounted ConfigMap is made. */
	in_folder(s, "..2026", path);
	mkdir(path, 0700);
	in_folder(s, "..2026/c.yaml", path);
	write_file(path, "c");
	in_folder(s, "..data", path);
	assert_int_equal(symlink("..2026", path), 0);
	in_folder(s, "c.yaml", path);
	assert_int_equal(symlink("..data/c.yaml", path), 0);
	fd = request_open(s, "c.yaml");
	assert_true(fd >= 0);
	close(fd);
}

static void never_leads_out_of_the_folder(void **state)
{
	static const char *const targets[] = {
		"../secret", "/etc/shadow", "/proc/self/root/etc", "../folder/a.yaml"};
	static const char *const names[] = {
		"..", ".", "", "../secret", "/etc/shadow", "a/../a.yaml", "./a.yaml"};
	struct scene *s = *state;
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(request_open(s, names[i]), -EINVAL);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		in_folder(s, "link.yaml", path);
		unlink(path);
		assert_int_equal(symlink(targets[i], path), 0);
		assert_int_equal(request_open(s, "link.yaml"), -EXDEV);
	}
}

static void hands_out_regular_files_only(void **state)
{
	struct scene *s = *state;
	char path[256];

	in_folder(s, "folder.yaml", path);
	mkdir(path, 0700);
	assert_int_equal(request_open(s, "folder.yaml"), -EINVAL);
	in_folder(s, "fifo.yaml", path);
	mkfifo(path, 0600); /* must not block either */
	assert_int_equal(request_open(s, "fifo.yaml"), -EINVAL);
	assert_int_equal(request_open(s, "missing.yaml"), -ENOENT);
}

static void nonsense_is_answered_with_einval(void **state)
{
	struct scene *s = *state;
	char longest[BH_BROKER_REQUEST_MAX + 100];

	memset(longest, 'a', sizeof(longest));
	longest[0] = BH_BROKER_OPEN;
	assert_int_equal(request(s, "X", 1), -EINVAL);
	assert_int_equal(request(s, "LL", 2), -EINVAL);
	assert_int_equal(request(s, "Ia", 2), -EINVAL);
	assert_int_equal(request(s, "O", 1), -EINVAL);
	assert_int_equal(request(s, "Oa.yaml\0b", 9), -EINVAL);
	assert_int_equal(request(s, longest, 1 + BH_BROKER_NAME_MAX + 1), -EINVAL);
	assert_int_equal(request(s, longest, sizeof(longest)), -EINVAL);
	assert_int_equal(request(s, longest, 1 + BH_BROKER_NAME_MAX), -ENOENT);
}

static void folder_is_opened_anew_each_time(void **state)
{
	struct scene *s = *state;
	char other[128];
	int fd;

	sprintf(other, "%s/old", s->base);
	assert_int_equal(rename(s->folder, other), 0);
	assert_int_equal(request_open(s, "a.yaml"), -ENOENT);
	assert_int_equal(mkdir(s->folder, 0700), 0);
	in_folder(s, "new.yaml", other);
	write_file(other, "n");
	fd = request_open(s, "new.yaml");
	assert_true(fd >= 0);
	close(fd);
}

static void ends_when_the_controller_does(void **state)
{
	struct scene *s = *state;

	assert_int_equal(bh_broker_serve(s->ours, BH_BROKER_FOLDER, s->folder),
		0); /* nothing there is no end */
	shutdown(s->theirs, SHUT_RDWR);
	assert_int_equal(bh_broker_serve(s->ours, BH_BROKER_FOLDER, s->folder), -EPIPE);
}

static void peer_that_does_not_read_blocks_nobody(void **state)
{
	struct scene *s = *state;
	char list = BH_BROKER_LIST;

	for (int i = 0; i < 5000; i++) {
		if (send(s->theirs, &list, 1, MSG_DONTWAIT) == 1)
			assert_int_equal(bh_broker_serve(s->ours, BH_BROKER_FOLDER, s->folder), 0);
	}
}

/* ---- A kubeconfig -----------------------------------------------------------------------------
 */

static void use_kubeconfig(struct scene *s, const char *text)
{
	sprintf(s->kubeconfig, "%s/folder/kubeconfig", s->base);
	write_file(s->kubeconfig, text);
	s->subject = BH_BROKER_ONE_KUBECONFIG;
}

static int request_named(struct scene *s, const char *name)
{
	char packet[2048] = {BH_BROKER_NAMED};

	strcpy(packet + 1, name);
	return request(s, packet, 1 + strlen(name));
}

static void opens_the_kubeconfig_and_what_it_names(void **state)
{
	static const char *const named[] = {"a.yaml", "../secret", "./a.yaml"};
	struct scene *s = *state;
	char kubeconfig = BH_BROKER_KUBECONFIG, text[512], absolute[128];
	int fd;

	sprintf(absolute, "%s/secret", s->base);
	sprintf(text,
		"clusters:\n- cluster:\n    certificate-authority: a.yaml\nusers:\n- user:\n"
		"    client-key:  '../secret'  \n    client-certificate: \"./a.yaml\"\r\n"
		"    tokenFile: %s\n",
		absolute);
	use_kubeconfig(s, text);
	fd = request(s, &kubeconfig, 1);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		fd = request_named(s, named[i]);
		assert_true(fd >= 0);
		close(fd);
	}
	fd = request_named(s, absolute);
	assert_true(fd >= 0);
	close(fd);
}

static void opens_nothing_the_kubeconfig_does_not_name(void **state)
{
	struct scene *s = *state;
	char open = BH_BROKER_LIST;
	char absolute[128];

	sprintf(absolute, "%s/secret", s->base);
	use_kubeconfig(s, "users:\n- user:\n    client-key: a.yaml\n    token: ../secret\n"
			  "    tokenFile: folder\n    client-certificate: missing\n");
	assert_int_equal(request_named(s, "../secret"), -EACCES);
	assert_int_equal(request_named(s, absolute), -EACCES);
	assert_int_equal(request_named(s, "/etc/shadow"), -EACCES);
	assert_int_equal(request_named(s, "a.yam"), -EACCES);
	assert_int_equal(request_named(s, "kubeconfig"), -EACCES);
	assert_int_equal(request_named(s, "missing"), -ENOENT);
	assert_int_equal(request_named(s, ""), -EINVAL);
	assert_int_equal(request(s, &open, 1), -EINVAL);
	assert_int_equal(request_open(s, "a.yaml"), -EINVAL);
	/* And the broker of a folder knows no kubeconfig. */
	s->subject = BH_BROKER_FOLDER;
	assert_int_equal(request_named(s, "a.yaml"), -EINVAL);
}

static void what_the_kubeconfig_names_must_be_a_file(void **state)
{
	struct scene *s = *state;

	use_kubeconfig(s, "tokenFile: ../folder\n");
	assert_int_equal(request_named(s, "../folder"), -EINVAL);
	write_file(s->kubeconfig, "tokenFile: /dev/null\n");
	assert_int_equal(request_named(s, "/dev/null"), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_a_file_of_the_folder_for_reading_only),
		TEST(lists_and_watches_the_folder),
		TEST(follows_links_inside_the_folder),
		TEST(never_leads_out_of_the_folder),
		TEST(hands_out_regular_files_only),
		TEST(nonsense_is_answered_with_einval),
		TEST(folder_is_opened_anew_each_time),
		TEST(ends_when_the_controller_does),
		TEST(peer_that_does_not_read_blocks_nobody),
		TEST(opens_the_kubeconfig_and_what_it_names),
		TEST(opens_nothing_the_kubeconfig_does_not_name),
		TEST(what_the_kubeconfig_names_must_be_a_file),
	};

	return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
