/* SPDX-License-Identifier: Apache-2.0 */

/*
 * New flows at a given rate: UDP datagrams of 64 bytes, each of another five-tuple, from a pod's
 * network namespace by a raw socket.
 *
 *   bench-flows NETNS SOURCE DESTINATION RATE SECONDS     to one address, source ports walking
 *   bench-flows NETNS SOURCE DESTINATION edges N PORTS    to N addresses and PORTS ports of each
 *
 * Prints how many were sent, and the seconds that took. Whether they arrived is not for it to say.
 */

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 64
#define PAYLOAD 64
#define FIRST_SOURCE_PORT 1024
#define SOURCE_PORTS 60000
#define FIRST_PORT 7000

struct datagram {
	struct iphdr ip;
	struct udphdr udp;
	char payload[PAYLOAD];
};

static struct datagram datagrams[BURST];
static struct sockaddr_in to[BURST];
static struct mmsghdr messages[BURST];
static struct iovec vectors[BURST];
static uint32_t source, destination;

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int open_in(const char *netns)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		err(1, "%s", path);
	close(fd);
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		err(1, "a raw socket");
	return fd;
}

static void prepare(void)
{
	for (unsigned i = 0; i < BURST; i++) {
		struct datagram *d = &datagrams[i];

		d->ip.version = 4;
		d->ip.ihl = 5;
		d->ip.ttl = 64;
		d->ip.protocol = IPPROTO_UDP;
		d->ip.saddr = source;
		d->ip.tot_len = htons(sizeof(*d));
		d->udp.len = htons(sizeof(d->udp) + PAYLOAD);
		to[i].sin_family = AF_INET;
		vectors[i] = (struct iovec){.iov_base = d, .iov_len = sizeof(*d)};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &to[i],
			.msg_namelen = sizeof(to[i]),
			.msg_iov = &vectors[i],
			.msg_iovlen = 1};
	}
}

static void aim(unsigned i, uint32_t address, uint16_t sport, uint16_t dport)
{
	datagrams[i].ip.daddr = to[i].sin_addr.s_addr = htonl(address);
	datagrams[i].ip.id = 0; /* the kernel's to fill in */
	datagrams[i].udp.source = htons(sport);
	datagrams[i].udp.dest = htons(dport);
}

static void send_burst(int fd, unsigned n)
{
	unsigned sent = 0;

	while (sent < n) {
		int r = sendmmsg(fd, messages + sent, n - sent, 0);

		if (r < 0 && errno != ENOBUFS && errno != EAGAIN)
			err(1, "sendmmsg");
		sent += r > 0 ? (unsigned)r : 0;
	}
}

static unsigned long send_at_rate(int fd, double rate, double seconds)
{
	unsigned long sent = 0, total = (unsigned long)(rate * seconds);
	const struct timespec pause = {.tv_nsec = 500000};
	double began = now_s();

	while (sent < total) {
		double due = (now_s() - began) * rate;
		unsigned n = 0;

		for (; n < BURST && sent + n < total && sent + n < due; n++) {
			unsigned long flow = sent + n;

			aim(n, destination, FIRST_SOURCE_PORT + flow % SOURCE_PORTS,
				FIRST_PORT + flow / SOURCE_PORTS);
		}
		if (n)
			send_burst(fd, n);
		else
			nanosleep(&pause, NULL);
		sent += n;
	}
	return sent;
}

static unsigned long send_to_all(int fd, unsigned addresses, unsigned ports)
{
	unsigned n = 0;

	for (unsigned long i = 0; i < (unsigned long)addresses * ports; i++) {
		aim(n++, destination + i / ports, FIRST_SOURCE_PORT, FIRST_PORT + i % ports);
		if (n == BURST) {
			send_burst(fd, n);
			n = 0;
		}
	}
	send_burst(fd, n);
	return (unsigned long)addresses * ports;
}

int main(int argc, char **argv)
{
	struct in_addr address[2];
	unsigned long sent;
	double began;
	int fd;

	if ((argc != 6 && argc != 7) || inet_pton(AF_INET, argv[2], &address[0]) != 1 ||
		inet_pton(AF_INET, argv[3], &address[1]) != 1)
		errx(2, "Usage: bench-flows NETNS SOURCE DESTINATION RATE SECONDS | edges N PORTS");
	source = address[0].s_addr;
	destination = ntohl(address[1].s_addr);
	fd = open_in(argv[1]);
	prepare();
	began = now_s();
	if (argc == 7)
		sent = send_to_all(fd, strtoul(argv[5], NULL, 10), strtoul(argv[6], NULL, 10));
	else
		sent = send_at_rate(fd, atof(argv[4]), atof(argv[5]));
	printf("%lu %.3f\n", sent, now_s() - began);
	return 0;
}
